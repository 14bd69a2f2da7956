"""What is said of data before training: labels that name no classes, scales."""

import re

import numpy as np
import pytest
from sklearn import datasets

import ae_jax
from ae_jax import data
from ae_jax.data.labels import are_classes
from ae_jax.data.remarks import remarks
from ae_jax.types import UsageError

X = np.random.default_rng(0).normal(size=(60, 3)).astype(np.float32)


def of(x, *parts, is_gaussian=True, **given):
  return remarks(data.from_arrays(x, *parts, **given), is_gaussian)


@pytest.mark.parametrize(
  "labels",
  [
    np.repeat(["a", "b", "c"], 20),
    np.repeat([b"a", b"b", b"c"], 20),
    np.arange(60) % 2 == 0,
    np.arange(60) % 5,
    (np.arange(60) % 5).astype(float),
  ],
)
def test_classes_are_not_remarked_on(labels):
  assert are_classes(labels)
  assert of(X, train_labels=labels) == []


@pytest.mark.parametrize(
  ("labels", "message"),
  [
    (np.linspace(0, 1, 60), "a regression, being no whole numbers"),
    (np.arange(60) // 2, r"regression, \d+ different numbers for 43 examples"),
    (np.zeros(60, int), "a part of the data is all of one class"),
  ],
)
def test_labels_that_are_no_classes_are_told(labels, message):
  (line,) = of(X, train_labels=labels)
  assert line.startswith("no metric compares codes with the labels")
  assert re.search(message, line)


def test_a_test_set_without_labels_is_told():
  (line,) = of(X, test=X[:9], train_labels=np.arange(60) % 2)
  assert "the test set has none" in line


def test_a_validation_set_without_labels_is_told():
  (line,) = of(X, X[:9], np.arange(60) % 2, np.arange(9) % 2, validation=X[:9])
  assert "the validation set has none" in line


def test_a_regression_has_no_measures_of_classes():
  """214 whole targets for 442 examples: of such classes a probe gets .03."""
  x, y = datasets.load_diabetes(return_X_y=True)
  assert np.all(y == np.floor(y))
  point = {"latent_size": 2, "num_epochs": 1}
  results = ae_jax.run_sweep(
    [point], x, labels=y, metrics=["features"], progress=False
  )
  assert "probe_accuracy" not in results.rows[0]
  with pytest.raises(UsageError, match="needs classes, and these labels are"):
    ae_jax.run_sweep(
      [point | {"objective": "conditional_vae", "num_classes": 214}],
      x,
      labels=y,
      progress=False,
    )


@pytest.mark.parametrize(
  ("name", "scale", "message"),
  [
    ("wine", 1, "the largest deviation of a feature is"),
    ("breast_cancer", 1, "the largest deviation of a feature is"),
    ("iris", 1, "times their deviation from 0"),
    ("digits", 1 / 16, None),
    ("digits", 1e-6, None),  # all features alike: Adam learns at any scale
    ("diabetes", 1, None),
  ],
)
def test_scales_that_a_network_learns_badly_are_told(name, scale, message):
  x = scale * getattr(datasets, f"load_{name}")().data
  lines = of(x)
  if message is None:
    assert lines == []
  else:
    (line,) = lines
    assert message in line
    assert "data.standardize=True" in line
  assert of(x, standardize=True) == []
  assert of(x, is_gaussian=False) == []


def test_bytes_and_constants_are_not_remarked_on():
  bright = (
    np.full((60, 3), 250, np.uint8) - np.arange(60, dtype=np.uint8)[:, None]
  )
  assert of(bright) == []
  assert of(np.full((60, 3), 7.1)) == []


def test_a_sweep_says_it_before_it_trains(capsys):
  point = {"latent_size": 2, "num_epochs": 1}
  ae_jax.run_sweep([point], X + 30, labels=X[:, 0], metrics=())
  said = capsys.readouterr().err
  assert "times their deviation from 0" in said
  assert "no metric compares codes with the labels" in said
  ae_jax.run_sweep([point], X, metrics=())
  said = capsys.readouterr().err
  assert "deviation" not in said
  assert "labels" not in said
