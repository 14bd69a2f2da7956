"""Units that are kept: k of an example, or those above a threshold."""

import jax
import numpy as np
import pytest
from sklearn.datasets import load_digits
from small_objectives import KEY, X, network

import ae_jax
from ae_jax import codes
from ae_jax.data import from_arrays
from ae_jax.objectives import OBJECTIVES

DIGITS = np.random.default_rng(0).permutation(load_digits().data) / 16
TRAIN, TEST = np.split(DIGITS.astype(np.float32), [1400])
ALL = np.ones(96, np.float32)


def test_the_threshold_is_a_running_mean_of_the_least_that_was_kept():
  model, params = network("k_sparse")
  objective = jax.jit(
    lambda params, x: OBJECTIVES["k_sparse"](
      model, params, KEY, x, k=2.0, selection="batch"
    )[2]
  )
  state = {"k": 2.0, "threshold": 0.0, "num_batches": 0.0}
  expected = 0.0
  for i in range(15):
    x = X + 0.1 * i
    z = np.asarray(model.dense_code(params, x))[:, :3]
    least = np.sort(z.ravel())[::-1][2 * len(X) - 1]
    expected += max(1 / (i + 1), 0.1) * (least - expected)
    state = objective(params | {"state": state}, x)
  np.testing.assert_allclose(state["threshold"], expected, rtol=1e-5)


@pytest.fixture(scope="module")
def trained():
  point = {"objective": "k_sparse", "selection": "batch", "k": 8.0}
  network = {"latent_size": 96, "widths": ()}
  training = {"num_epochs": 25, "learning_rate": 3e-3}
  dataset = from_arrays(TRAIN, TEST)
  (model,) = ae_jax.run_sweep(
    [point | network | training], dataset, metrics=(), progress=False
  )
  return model


def test_a_threshold_keeps_k_on_average_and_reconstructs_better(trained):
  """Once the 8 largest of each example were kept: an error 7% larger."""
  z = trained.encode(TEST)
  # By chance: the thresholds of batches differ by some 2%.
  np.testing.assert_allclose(np.sum(z != 0, axis=1).mean(), 8, rtol=0.03)
  dense = trained.model.dense_code(trained.params, TEST)
  of_each = np.asarray(codes.top_k(dense, 8.0, ALL))
  errors = [
    np.mean(np.sum((trained.decode(kept) - TEST) ** 2, axis=1))
    for kept in (z, of_each)
  ]
  assert errors[0] < 0.97 * errors[1]


def test_a_code_does_not_depend_on_its_batch(trained):
  one_by_one = np.concatenate([trained.encode(x[None]) for x in TEST[:5]])
  # Sums over the pixels may be taken in another order.
  np.testing.assert_allclose(trained.encode(TEST)[:5], one_by_one, atol=1e-5)


def test_a_threshold_is_saved_and_exported(trained, tmp_path):
  trained.export(tmp_path / "model")
  read = ae_jax.load(tmp_path / "model")
  assert (
    read.params["state"]["threshold"] == trained.params["state"]["threshold"]
  )
  np.testing.assert_array_equal(read.encode(TEST), trained.encode(TEST))
  function = jax.export.deserialize(
    bytearray((tmp_path / "model" / "encode.stablehlo").read_bytes())
  )
  np.testing.assert_allclose(
    function.call(TEST[:9]), trained.encode(TEST[:9]), atol=1e-5
  )
  assert "state.threshold" in (tmp_path / "model" / "README.md").read_text()
