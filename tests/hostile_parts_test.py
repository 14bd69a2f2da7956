"""A run of somebody else whose parts are functions: nothing is imported."""

import os
import subprocess
import sys
import types
from pathlib import Path

import numpy as np
import pytest
from shell import call

import ae_jax
from ae_jax.cli import evaluate, report, use
from ae_jax.types import UsageError

ROOT = Path(__file__).parent.parent
THEIRS = """
import os
from pathlib import Path

if "MARK" in os.environ:
  Path(os.environ["MARK"]).write_text("imported")

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
import ae_jax
from os import system


@ae_jax.network()
def net(spec):
  flat = lambda x: x.reshape(x.shape[0], -1)
  return ae_jax.Network(
    nn.Sequential([flat, nn.Dense(4)]), nn.Dense(spec.num_outputs), 4
  )


@ae_jax.likelihood(mean=jnp.exp)
def poisson(x, decoded):
  return jnp.sum(jnp.exp(decoded) - x * decoded, axis=1)


@ae_jax.objective(encoder_input=jnp.log1p)
def loss(model, params, key, batch):
  z = model.encode(params, batch)
  return jnp.mean(model.nll(batch, model.decode(params, z))), {}


def plain(model, params, key, batch):
  return loss(model, params, key, batch)


@ae_jax.metric(size=("code", "lower", "<b>mean</b> size"))
def size(model, params, data):
  return {"size": jnp.mean(jnp.abs(model.encode(params, data.test)))}


@ae_jax.dataset()
def data():
  return np.random.default_rng(0).uniform(size=(40, 6)).astype(np.float32)
"""
MAKE = """
import sys, ae_jax
points = [{"objective": "autoencoder", "num_epochs": 1, "widths": ()} | p
          for p in (%s)]
results = ae_jax.run_sweep(
  points, %s, metrics=["reconstruction", "theirs:size"], folder=sys.argv[1])
results[0].export(sys.argv[1] + "-exported")
"""
PARTS = {
  "network": '{"network": "theirs:net"},',
  "likelihood": '{"likelihood": "theirs:poisson"},',
  "objective": '{"objective": "theirs:loss"},',
}


def python(*arguments, cwd, **environment):
  return subprocess.run(
    [sys.executable, *map(str, arguments)],
    cwd=cwd,
    capture_output=True,
    text=True,
    check=False,
    env=os.environ | {"PYTHONPATH": f"{cwd}:{ROOT}"} | environment,
  )


def made(folder, points, data):
  (folder / "theirs.py").write_text(THEIRS)
  done = python("-c", MAKE % (points, data), folder / "run", cwd=folder)
  assert done.returncode == 0, done.stderr
  np.save(folder / "x.npy", np.full((3, 6), 0.5, np.float32))
  return folder


@pytest.fixture(scope="module")
def of_network(tmp_path_factory):
  """A run with a network of `theirs`; not to be changed."""
  folder = tmp_path_factory.mktemp("theirs")
  return made(folder, PARTS["network"], "__import__('theirs').data()")


def visits(folder):
  """What a user does with a folder that was received, each in a process."""
  command = ("-m", "ae_jax")
  yield *command, "encode", "run", "x.npy", "z.npy"
  yield *command, "export", "run", "again"
  yield *command, "report", "run"
  yield *command, "evaluate", "run", "--metrics=activity"
  yield "-c", "import ae_jax; ae_jax.load('run').encode"
  yield "-c", "import ae_jax; ae_jax.load('run-exported').encode"


def visit(folder, arguments, *more):
  mark = folder / "mark"
  done = python(*arguments, *more, cwd=folder, MARK=str(mark))
  imported = mark.exists()
  mark.unlink(missing_ok=True)
  return done, imported


def test_a_model_says_which_module_it_needs(of_network, monkeypatch):
  """In this process; those below are what a user does, and slow."""
  folder = of_network
  monkeypatch.syspath_prepend(folder)
  monkeypatch.chdir(folder)
  for main, arguments in (
    (use.main, ("encode", "run", "x.npy", "z.npy")),
    (report.main, ("run",)),
    (evaluate.main, ("run", "--metrics=activity")),
  ):
    code, _, err = call(main, *arguments)
    assert code == 2, err
    assert "this model needs the network theirs:net: give modules" in err
  for place in ("run", "run-exported"):
    with pytest.raises(UsageError, match="needs the network theirs:net"):
      ae_jax.load(place)
  assert "theirs" not in sys.modules


@pytest.mark.slow
@pytest.mark.parametrize("part", PARTS)
def test_a_model_that_needs_a_function_says_so_and_imports_nothing(
  part, tmp_path
):
  folder = made(tmp_path, PARTS[part], "__import__('theirs').data()")
  for arguments in visits(folder):
    done, imported = visit(folder, arguments)
    assert not imported, arguments
    assert done.returncode != 0, arguments
    last = done.stderr.strip().splitlines()[-1]
    assert f"this model needs the {part} theirs:" in last, done.stderr
    assert "give modules=['theirs'] (--modules=theirs)" in last
    if arguments[0] == "-m":
      assert "Traceback" not in done.stderr
      done, _ = visit(folder, arguments, "--modules=theirs")
      assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_data_and_plain_parts_are_not_imported(tmp_path):
  folder = made(tmp_path, '{"objective": "theirs:plain"},', "'theirs:data'")
  for arguments in visits(folder):
    done, imported = visit(folder, arguments)
    assert not imported, arguments
    if {"report", "evaluate"} & {*arguments}:
      assert done.returncode == 2, done.stderr
      assert "the data of this run are made by theirs:data" in done.stderr
      done, _ = visit(folder, arguments, "--modules=theirs")
    assert done.returncode == 0, done.stderr
  assert "<b>mean</b>" not in (folder / "run" / "report.html").read_text()


def test_a_name_in_a_file_calls_nothing_that_is_no_part(of_network, tmp_path):
  """`theirs` has `system` in it, and a user gives the module in good faith."""
  exported = of_network / "run-exported"
  for name in (
    "theirs:system",
    "theirs:plain",
    "theirs:os.system",
    "os:system",
  ):
    text = (exported / "spec.json").read_text().replace("theirs:net", name)
    (tmp_path / "spec.json").write_text(text)
    weights = (exported / "weights.safetensors").read_bytes()
    (tmp_path / "weights.safetensors").write_bytes(weights)
    given = types.ModuleType("theirs")
    given.system, given.os = os.system, os
    given.plain = lambda *_: pytest.fail("it was called")
    with pytest.raises(UsageError) as error:
      ae_jax.load(tmp_path, modules=[given])
    message = str(error.value)
    told = ("is no network", "has no network", "needs the network os:")
    assert any(words in message for words in told), message
