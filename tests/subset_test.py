"""Most metrics are measured on a part of many examples, or on all of them."""

import numpy as np
import pytest

import ae_jax
from ae_jax import data
from ae_jax.metrics import subset
from ae_jax.metrics.eval_data import eval_data
from ae_jax.rows import IN_PART

RNG = np.random.default_rng(0)
Y = RNG.integers(0, 3, 100)
X = (RNG.uniform(size=(100, 4)) * (1 + Y[:, None]) / 3).astype(np.float32)
DATASET = data.from_arrays(X, train_labels=Y)
MORE = ("neighbors", "activity")


@pytest.fixture
def few(monkeypatch):
  monkeypatch.setattr(subset, "MOST_TRAIN", 40)
  monkeypatch.setattr(subset, "MOST_HELD_OUT", 7)


def test_few_examples_are_all_taken():
  seen = eval_data(DATASET)
  assert subset.subset(seen) is seen


@pytest.mark.usefixtures("few")
def test_examples_keep_their_classes_and_order():
  seen = eval_data(DATASET)
  part = subset.subset(seen)
  assert part.train.shape == (40, 4)
  assert part.validation.shape == part.test.shape == (7, 4)
  for name in ("train", "validation", "test"):
    rows, all_rows = (np.asarray(getattr(d, name)) for d in (part, seen))
    found = [
      int(np.flatnonzero((all_rows == row).all(axis=1))[0]) for row in rows
    ]
    assert found == sorted({*found})
    for of in ("classes", "label"):
      own, others = (
        np.asarray(getattr(d, f"{name}_{of}")) for d in (part, seen)
      )
      np.testing.assert_array_equal(own, others[found])
  np.testing.assert_array_equal(subset.subset(seen).train, part.train)


def test_a_run_says_so_and_is_measured_on_all_on_request(tmp_path, monkeypatch):
  points = ae_jax.grid.product(
    latent_size=(2,), num_epochs=(1,), batch_size=(16,), widths=((4,),)
  )
  whole = ae_jax.run_sweep(points, DATASET, metrics=MORE, progress=False)
  with monkeypatch.context() as patch:
    patch.setattr(subset, "MOST_TRAIN", 40)
    patch.setattr(subset, "MOST_HELD_OUT", 7)
    part = ae_jax.run_sweep(
      points, DATASET, metrics=MORE, folder=tmp_path, progress=False
    )
    (row,), (expected,) = part.rows, whole.rows
    assert IN_PART not in expected
    assert row[IN_PART] == "+".join(MORE)
    assert row["test_squared_error"] == expected["test_squared_error"]
    assert row["test_code_mean"] != expected["test_code_mean"]
    again = ae_jax.evaluate(
      tmp_path, MORE, DATASET, on_all=True, progress=False
    )
  (row,) = again.rows
  assert not row.get(IN_PART)
  for name in (
    "test_code_mean",
    "test_mean_average_precision",
    "pca_test_mean_average_precision",
  ):
    # The same parameters and program.
    assert float(row[name]) == pytest.approx(expected[name], rel=1e-6)
