"""Trained models of a run, by id, by what is best, by settings."""

import json
import shutil

import numpy as np
import pytest

import ae_jax
from ae_jax.metrics import selection
from ae_jax.run_folder import checkpoints, results
from ae_jax.types import UsageError

X = np.random.default_rng(0).uniform(size=(40, 6)).astype(np.float32)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
  """Six trials; an accuracy is made up, the worst where the error is."""
  workdir = tmp_path_factory.mktemp("run") / "out"
  common = {
    "latent_size": (2, 5),
    "num_epochs": (2,),
    "widths": ((8, 4),),
  }
  points = ae_jax.grid.product(
    objective=("sparse",), strength=(0.1, 1.0), **common
  )
  points += ae_jax.grid.product(objective=("vae",), beta=(1.0,), **common)
  ae_jax.run_sweep(
    points, X, standardize=True, folder=workdir, metrics=(), progress=False
  )
  rows = results.read_rows(workdir).values()
  results.add_rows(
    workdir,
    [
      row | {"test_knn_accuracy": 1 / float(row["validation_squared_error"])}
      for row in rows
    ],
  )
  return workdir


def least(run, **where):
  """The id of least validation error, in the plainest way."""
  rows = [
    (float(row["validation_squared_error"]), row["id"])
    for row in results.read_rows(run).values()
    if all(row[name] == text for name, text in where.items())
  ]
  return min(rows)[1]


def test_by_id(run):
  for trial_id, row in results.read_rows(run).items():
    trained = ae_jax.load(run, trial_id)
    assert trained.row["id"] == trial_id
    assert trained.spec.latent_size == int(row["latent_size"])
    assert trained.spec.features == (6,)
    assert trained.history["loss"].shape == (2,)
    assert trained.history["loss"][-1] == float(row["loss"])


def test_the_best_is_least_error_or_most_accuracy(run):
  assert ae_jax.load(str(run)).row["id"] == least(run)
  assert ae_jax.load(run, by="test_knn_accuracy").row["id"] == least(run)
  assert ae_jax.load(run, by="beta").row["objective"] == "vae"
  assert ae_jax.load(run, by="latent_size").row["latent_size"] == 2


@pytest.mark.parametrize(
  ("where", "texts"),
  [
    ({"objective": "vae"}, {"objective": "vae"}),
    ({"latent_size": 2}, {"latent_size": "2"}),
    (
      {"objective": "sparse", "strength": 1, "latent_size": 2},
      {"objective": "sparse", "strength": "1.0", "latent_size": "2"},
    ),
    ({"widths": [8, 4], "beta": 1.0}, {"beta": "1.0"}),
  ],
)
def test_the_best_of_some_settings(run, where, texts):
  trained = ae_jax.load(run, **where)
  assert trained.row["id"] == least(run, **texts)


def test_standardization_comes_back_with_the_model(run):
  # Of standardized data the table's error is in standardized units.
  trained = ae_jax.load(run)
  apply = trained.standardization.apply
  error = (apply(X) - apply(trained.reconstruct(X))) ** 2
  expected = (
    29 * trained.row["train_squared_error"]
    + 3 * trained.row["validation_squared_error"]
    + 8 * trained.row["test_squared_error"]
  ) / 40
  np.testing.assert_allclose(error.sum(axis=1).mean(), expected, rtol=1e-4)


def test_the_range_of_the_data_comes_back_in_its_own_units(run):
  low, high = ae_jax.load(run).data_range
  # A fifth is held out, and to standardize and back is not exact.
  assert X.min() - 1e-5 <= low < 0.1
  assert 0.9 < high <= X.max() + 1e-5


MISTAKES = {
  "id": (("abc",), {}, "has no trial 'abc'; it has 6, the first"),
  "column": ((), {"by": "tset"}, "no column 'tset'; it has id, status"),
  "misspelt": (
    (),
    {"by": "test_squared_eror"},
    "mean test_squared_error[?] it",
  ),
  "words": ((), {"by": "objective"}, "none of 6 trials.*number in 'objective'"),
  "setting": ((), {"size": 3}, "no column 'size'"),
  "value": ((), {"latent_size": 3}, "has latent_size=3; the values are 2, 5$"),
  "together": (
    (),
    {"objective": "vae", "strength": 0.1},
    "has strength=0.1; the values are None$",
  ),
  "id and settings": (("abc",), {"seed": 0}, "the one or the other"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_line(run, mistake):
  arguments, keywords, message = MISTAKES[mistake]
  with pytest.raises(UsageError, match=message) as raised:
    ae_jax.load(run, *arguments, **keywords)
  assert "\n" not in str(raised.value)


def test_folders_that_hold_no_finished_run(tmp_path):
  with pytest.raises(UsageError, match="none holds no run: config.json: No s"):
    ae_jax.load(tmp_path / "none")
  for text in ("{", "{}", "3"):
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(UsageError, match=r"config.json is not a config.json"):
      ae_jax.load(tmp_path)
  data = {"source": None, "range": [0, 1], "bytes": True, "standardized": False}
  fields = {"identity": {}, "config": {}, "data": data}
  for other in (
    {"identity": [1]},
    {"config": None},
    {"data": {}},
    {"data": data | {"bytes": 3}},
    {"data": data | {"range": [1, 0]}},
    {"data": data | {"source": "x"}},
  ):
    (tmp_path / "config.json").write_text(json.dumps(fields | other))
    with pytest.raises(UsageError, match=r"config.json is not a config.json"):
      ae_jax.load(tmp_path)
  (tmp_path / "config.json").write_text(json.dumps(fields))
  with pytest.raises(UsageError, match="has no finished trial yet"):
    ae_jax.load(tmp_path)


def test_a_save_that_was_killed_is_passed_over(run, tmp_path):
  shutil.copytree(run, tmp_path / "killed")
  folder = tmp_path / "killed" / checkpoints.FOLDER
  (folder / "0000").mkdir()
  (folder / ".DS_Store").write_text("")
  trial_id = next(iter(results.read_rows(run)))
  assert ae_jax.load(tmp_path / "killed", trial_id).row["id"] == trial_id


def test_a_diverged_trial_is_never_the_best():
  good = {"id": "1", "status": "ok", "latent_size": "2", "loss": "3.0"}
  rows = [
    good,
    good | {"id": "2", "loss": "nan"},
    good | {"id": "3", "loss": ""},
    good | {"id": "4", "loss": "1.0", "status": "diverged"},
  ]
  assert selection.best(rows, "loss")["id"] == "1"
  assert selection.best(rows[1:], "loss") is None
