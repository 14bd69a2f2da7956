"""`ae-jax` and `python -m ae_jax`, from an empty folder, with the package."""

import os
import subprocess
import sys

import numpy as np
import pytest
from shell import TINY, call, rows_of

import ae_jax
from ae_jax.cli import main as cli

X = np.random.default_rng(0).uniform(size=(20, 6)).astype(np.float32)
LOSS = """
import jax.numpy as jnp

def my_loss(model, params, key, batch, *, weight: float = 1.0):
  again = model.decode(params, model.encode(params, batch))
  return weight * jnp.mean(model.nll(batch, again)), {}
"""


@pytest.fixture(autouse=True)
def as_it_was(monkeypatch):
  """A program of its own may change what all modules of a process share."""
  monkeypatch.setattr(sys, "path", [*sys.path])
  monkeypatch.setattr(os, "environ", os.environ.copy())


@pytest.fixture
def command(tmp_path):
  """Runs `python -m ae_jax` in a folder without this repository's others."""
  cache = os.environ.get("JAX_COMPILATION_CACHE_DIR", str(tmp_path / "cache"))
  folder = tmp_path / "here"
  folder.mkdir()
  np.save(folder / "x.npy", X)
  environment = os.environ | {
    "JAX_COMPILATION_CACHE_DIR": cache,
    "PYTHONDONTWRITEBYTECODE": "1",
  }
  environment.pop("PYTHONPATH", None)

  def command(*arguments):
    return subprocess.run(
      [sys.executable, "-m", "ae_jax", *arguments],
      cwd=folder,
      capture_output=True,
      text=True,
      env=environment,
    )

  command.folder = folder
  return command


@pytest.mark.parametrize("arguments", [[], ["--help"], ["-h"], ["help"]])
def test_help_names_every_command(arguments):
  code, out, err = call(cli.main, *arguments)
  assert (code, err) == (0, "")
  assert all(f"{name}" in out for name in cli.COMMANDS)


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_every_command_has_help(name):
  code, out, _ = call(cli.main, name, "--help")
  assert code == 0
  assert name in out


def test_an_unknown_command_is_one_line():
  code, out, err = call(cli.main, "swep")
  assert code == 2
  assert out == ""
  assert err.startswith("error: unknown command 'swep'; available: sweep, ")
  assert err.count("\n") == 1


def test_help_in_a_process_of_its_own(command):
  done = command("--help")
  assert done.returncode == 0, done.stderr
  assert done.stdout.startswith("The command `ae-jax`")
  assert os.listdir(command.folder) == ["x.npy"]


def test_a_sweep_and_what_follows(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  np.save("x.npy", X)
  code, out, err = call(
    cli.main, "sweep", "--workdir=run", "--config.data.path=x.npy", *TINY
  )
  assert code == 0, err
  assert "1 trials: 1 ok" in out
  assert len(rows_of(tmp_path / "run")) == 1
  code, out, err = call(cli.main, "evaluate", "run", "--metrics=noise")
  assert code == 0, err
  (row,) = rows_of(tmp_path / "run")
  assert row["metric_groups"] == "reconstruction+noise"
  code, out, err = call(cli.main, "report", "run")
  assert code == 0, err
  assert out.strip() == f"{tmp_path / 'run' / 'report.html'}"
  code, out, err = call(cli.main, "encode", "run", "x.npy", "z.npy")
  assert code == 0, err
  np.testing.assert_array_equal(
    np.load("z.npy"), ae_jax.load("run", row["id"]).encode(X)
  )


@pytest.mark.parametrize(
  "is_package", [False, pytest.param(True, marks=pytest.mark.slow)]
)
def test_a_loss_in_ones_own_experiments(command, is_package):
  folder = command.folder / "experiments"
  folder.mkdir()
  (folder / "losses.py").write_text(LOSS)
  if is_package:
    (folder / "__init__.py").write_text("")
  done = command(
    "sweep",
    "--workdir=run",
    "--config.data.path=x.npy",
    *TINY,
    "--config.objective=experiments.losses:my_loss",
    "--config.sweep.weight=0.5",
  )
  assert done.returncode == 0, done.stderr
  (row,) = rows_of(command.folder / "run")
  assert row["objective"] == "experiments.losses:my_loss"
  assert row["weight"] == "0.5"
