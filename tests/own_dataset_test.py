"""A dataset of a user: a function that gives arrays."""

import sys

import numpy as np
import own_parts
import pytest
from shell import call
from small_sweeps import SHORT

import ae_jax
from ae_jax import data
from ae_jax.cli import report, sweep
from ae_jax.data import own
from ae_jax.types import UsageError

NAME = "own_parts:blobs"


def test_it_is_the_arrays_of_the_function():
  dataset = data.load(name=NAME)
  made = own_parts.blobs()
  assert dataset.name == NAME
  parts = np.concatenate([dataset.train, *dataset.held_out.values()])
  assert len(parts) == 120
  np.testing.assert_array_equal(
    parts[np.argsort(parts[:, 0])],
    made["x"][np.argsort(made["x"][:, 0])],
  )
  assert {*dataset.train_labels} == {0, 1}


def test_it_is_swept_by_name_and_the_run_wants_its_module(tmp_path):
  folder = tmp_path / "run"
  points = [SHORT | {"latent_size": size} for size in (1, 2)]
  ae_jax.run_sweep(
    points, NAME, metrics=("features",), folder=folder, progress=False
  )
  with pytest.raises(UsageError, match=r"made by own_parts:blobs: give modu"):
    ae_jax.evaluate(folder, ["activity"], progress=False)
  results = ae_jax.evaluate(
    folder, ["activity"], modules=["own_parts"], progress=False
  )
  assert "test_code_mean" in results.rows[0]
  code, _, err = call(report.main, str(folder))
  assert code == 2
  assert "the data of this run are made by own_parts:blobs" in err
  code, out, _ = call(report.main, str(folder), "--modules=own_parts")
  assert code == 0
  assert out.strip().endswith("report.html")


def test_the_shell_takes_its_name(tmp_path):
  code, out, err = call(
    sweep.main,
    f"--workdir={tmp_path / 'run'}",
    f"--config.data.name={NAME}",
    "--config.objective=autoencoder",
    "--config.sweep.latent_size=2,",
    "--config.sweep.seed=0,",
    "--config.fixed.num_epochs=1",
    "--config.metrics=",
  )
  assert code == 0, err
  assert f"data: {NAME}, 86 train, 10 validation and 24 test examples" in out


def test_a_name_of_tfds_is_none():
  assert own.is_own("my.module:function")
  for name in ("mnist", "mnist:3.0.1", "mnist:3.*.*", "a/b:1.0.0", "shapes"):
    assert not own.is_own(name)


def written(tmp_path, monkeypatch, body):
  monkeypatch.syspath_prepend(tmp_path)
  sys.modules.pop("made_data", None)
  text = body.replace("def f", "@ae_jax.dataset()\ndef f")
  imports = "import ae_jax\nimport numpy as np\n"
  (tmp_path / "made_data.py").write_text(f"{imports}{text}\n")
  return "made_data:f"


@pytest.mark.parametrize(
  ("body", "message"),
  [
    (
      "def f():\n  raise OSError('no disk')",
      "made_data:f raised OSError: no d",
    ),
    (
      "def f():\n  return {'y': 1}",
      "must return x, or a dict of x, validation, test",
    ),
    ("def f():\n  return {'x': 1, 'z': 1}", "must return x, or a dict of x"),
    ("def f():\n  return {}", "it returns an empty dict"),
    (
      "def f():\n  return 1, 2",
      "must return an array x, or a dict of x, validation, test",
    ),
    ("def f():\n  return np.array(['a', 'b'])", "numbers|type"),
    ("g = 1", "cannot load dataset 'made_data:f'"),
    ("f = lambda: 1", "made_data:f is no dataset: decorate the function"),
    ("f = 1", "dataset 'made_data:f' is not a function"),
  ],
)
def test_a_mistake_is_one_line(tmp_path, monkeypatch, body, message):
  name = written(tmp_path, monkeypatch, body)
  with pytest.raises(UsageError, match=message):
    data.load(name=name)


def test_it_is_not_streamed():
  with pytest.raises(UsageError, match="data.stream needs a file or TFDS"):
    data.load(name=NAME, stream=True)


def test_a_function_that_is_given_is_taken(tmp_path):
  folder = tmp_path / "run"
  ae_jax.run_sweep([SHORT], NAME, metrics=(), folder=folder, progress=False)

  @ae_jax.dataset()
  def other():
    return own_parts.blobs() | {"x": own_parts.blobs()["x"] + 1}

  with pytest.raises(UsageError, match="is not the one that run"):
    ae_jax.evaluate(folder, ["activity"], modules={NAME: other})
  ae_jax.evaluate(folder, ["activity"], modules={NAME: own_parts.blobs})


def test_changed_data_are_told(tmp_path, monkeypatch):
  name = written(
    tmp_path,
    monkeypatch,
    "def f():\n  return np.ones((20, 3)) * SCALE\nSCALE=1",
  )
  folder = tmp_path / "run"
  ae_jax.run_sweep([SHORT], name, metrics=(), folder=folder, progress=False)
  sys.modules["made_data"].SCALE = 2
  with pytest.raises(UsageError, match="is not the one that run"):
    ae_jax.evaluate(folder, ["activity"], modules=["made_data"], progress=False)
