"""`ae-jax` and `python -m ae_jax`, from an empty folder, with the package."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from shell import OF_TESTS, TINY, call, rows_of

import ae_jax
from ae_jax.cli import main as cli

ROOT = Path(__file__).parent.parent
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


def visible(folder):
  """Its files, but not those of caches and environments."""
  parts = (p.relative_to(folder) for p in folder.rglob("*"))
  return {
    p
    for p in parts
    if not any(name.startswith((".", "__pycache__")) for name in p.parts)
  }


@pytest.fixture(
  scope="module", params=[False, pytest.param(True, marks=pytest.mark.slow)]
)
def folders(request, tmp_path_factory):
  """Those of a process that sweeps a loss of the folder that it runs in."""
  folder = tmp_path_factory.mktemp("process")
  folders = {
    name: folder / name for name in ("home", "tmp", "here", "jax", "mpl")
  }
  own = folders["here"] / "experiments"
  own.mkdir(parents=True)
  for path in folders.values():
    path.mkdir(exist_ok=True)
  (own / "losses.py").write_text(LOSS)
  if request.param:  # it is a package
    (own / "__init__.py").write_text("")
  (folders["here"] / "plotly.py").write_text("1 / 0")
  before = {name: visible(path) for name, path in folders.items()}
  root = visible(ROOT)
  done = subprocess.run(
    [
      *(sys.executable, "-m", "ae_jax", "sweep"),
      f"--workdir={folder / 'run'}",
      f"--config.data.data_dir={folder / 'tfds'}",
      "--config.tensorboard=True",
      *TINY,
      "--config.objective=experiments.losses:my_loss",
      "--config.sweep.weight=0.5",
    ],
    cwd=folders["here"],
    env={
      "PATH": os.environ["PATH"],
      "HOME": str(folders["home"]),
      "TMPDIR": str(folders["tmp"]),
      "JAX_COMPILATION_CACHE_DIR": str(folders["jax"]),
      "MPLCONFIGDIR": str(folders["mpl"]),
      "PYTHONDONTWRITEBYTECODE": "1",
    }
    | {name: os.environ[name] for name in OF_TESTS if name in os.environ},
    capture_output=True,
    text=True,
  )
  assert done.returncode == 0, done.stderr
  assert visible(ROOT) == root
  return folders, before


def test_a_loss_in_ones_own_experiments(folders):
  (row,) = rows_of(folders[0]["home"].parent / "run")
  assert row["objective"] == "experiments.losses:my_loss"
  assert row["weight"] == "0.5"


def test_own_modules_come_after_all_others(folders):
  page = folders[0]["home"].parent / "run" / "report.html"
  assert "Plotly" in page.read_text()


def test_nothing_is_written_outside_workdir_and_caches(folders):
  """Of this repository: see `folders`."""
  now, before = folders
  assert visible(now["here"]) == before["here"]
  # TFDS leaves an empty folder among those of the moment.
  assert [p for p in now["tmp"].rglob("*") if p.is_file()] == []
  assert [*now["home"].rglob("*")] == []
