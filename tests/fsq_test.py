"""Units that take a few values: where they lie, their gradient, their bits."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from random_model import DIGITS
from small_objectives import KEY, X, network

import ae_jax
from ae_jax import codes
from ae_jax.metrics import rate
from ae_jax.metrics.eval_data import eval_data
from ae_jax.objectives import OBJECTIVES

fsq = OBJECTIVES["fsq"]
Z = np.random.default_rng(0).normal(scale=3, size=(50, 3)).astype(np.float32)


@pytest.mark.parametrize("levels", [3.0, 5.0, 7.4])
def test_an_odd_number_of_levels_is_as_in_the_paper(levels):
  half = np.round(levels) // 2
  expected = np.round(half * np.tanh(Z)) / half  # section 3.1
  actual = codes.round_to_levels(jnp.tanh(Z), levels)
  np.testing.assert_allclose(actual, expected, atol=1e-6)


@pytest.mark.parametrize("levels", [2.0, 4.0, 8.0])
def test_levels_are_the_nearest_of_even_steps(levels):
  steps = np.linspace(-1, 1, int(levels))
  at = np.abs(np.tanh(Z)[..., None] - steps).argmin(axis=-1)
  actual = codes.round_to_levels(jnp.tanh(Z), levels)
  np.testing.assert_allclose(actual, steps[at], atol=1e-6)
  np.testing.assert_array_equal(codes.level_indices(actual, levels), at)


def test_the_gradient_goes_through_the_rounding_to_tanh():
  model, params = network("fsq")
  e, z = model.encode(params, X), model.dense_code(params, X)

  def of_code(e):
    return jnp.mean(model.nll(X, model.decode(params, e)))

  through = jax.vjp(lambda p: jnp.tanh(model.dense_code(p, X)), params)[1]
  (expected,) = through(jax.grad(of_code)(e))
  actual = jax.grad(lambda p: fsq(model, p, KEY, X)[0])(params)
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6),
    actual["encoder"],
    expected["encoder"],
  )
  assert np.abs(e - np.tanh(z)).max() <= 0.25 + 1e-6  # of five levels


def test_with_many_levels_it_is_the_autoencoder_of_a_tanh_code():
  model, params = network("fsq")
  plain, _ = network("autoencoder", code="tanh")
  expected, _ = OBJECTIVES["autoencoder"](plain, params, KEY, X)
  loss, *_ = fsq(model, params, KEY, X, levels=1e5)
  np.testing.assert_allclose(loss, expected, rtol=1e-5)


def test_a_trained_code_takes_its_levels_and_is_written_as_them():
  point = {"objective": "fsq", "levels": 4.0, "latent_size": 3}
  training = {"num_epochs": 20, "learning_rate": 1e-2}
  (model,) = ae_jax.run_sweep(
    [point | training], DIGITS, metrics=(), progress=False
  )
  train, test = model.encode(DIGITS.train), model.encode(DIGITS.test)
  steps = np.linspace(-1, 1, 4)
  for z in (train, test):
    assert np.abs(z[..., None] - steps).min(axis=-1).max() < 1e-6
  bits = 0.0
  for unit, own in zip(train.T, test.T, strict=True):
    share = np.sum(np.abs(unit - steps[:, None]) < 1e-6, axis=1) + 0.5
    share /= share.sum()
    bits -= np.log2(share[np.abs(own[:, None] - steps).argmin(axis=1)]).sum()
  stacked = jax.tree.map(lambda p: jnp.asarray(p)[None], model.params)
  columns, _ = rate.measure(
    model.spec, stacked, np.array([3]), eval_data(DIGITS)
  )
  # The coder writes whole words of 32 bits.
  np.testing.assert_allclose(
    columns["test_rate_at_bin_1"] * DIGITS.test.size, bits, atol=64
  )
