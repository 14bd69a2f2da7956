"""Tests of `reconstruction`, against the densities of SciPy."""

import jax
import numpy as np
import pytest
from jax.test_util import check_grads
from scipy import special, stats

from ae_jax import divergences, reconstruction

SHAPES = [(6,), (5, 7), (3, 4, 4, 2)]  # [batch, *features]


def sum_features(values: np.ndarray) -> np.ndarray:
  return np.sum(values.reshape(len(values), -1), axis=1)


@pytest.mark.parametrize("shape", SHAPES)
def test_half_squared_error_is_a_gaussian_log_density(shape):
  rng = np.random.default_rng(0)
  x, x_tilde = rng.normal(size=(2, *shape)).astype(np.float32)
  constant = 0.5 * np.log(2 * np.pi)
  expected = sum_features(-stats.norm.logpdf(x, x_tilde) - constant)

  actual = jax.jit(reconstruction.half_squared_error)(x, x_tilde)

  # Up to 32 positive float32 terms, each rounded by 2^-24 = 6e-8 a few times.
  np.testing.assert_allclose(actual, expected, rtol=2e-6)


@pytest.mark.parametrize("shape", SHAPES)
def test_bernoulli_cross_entropy_is_a_bernoulli_log_mass(shape):
  rng = np.random.default_rng(0)
  x = rng.integers(0, 2, shape).astype(np.float32)
  logits = rng.normal(0, 3, shape).astype(np.float32)
  probability = special.expit(logits.astype(float))
  expected = sum_features(-stats.bernoulli.logpmf(x, probability))

  actual = jax.jit(reconstruction.bernoulli_cross_entropy)(x, logits)

  # Each term is a difference of numbers up to |l| = 10: off by up to 1e-6.
  np.testing.assert_allclose(actual, expected, rtol=2e-6, atol=2e-6)


def test_bernoulli_cross_entropy_from_logits_is_that_of_their_sigmoid():
  rng = np.random.default_rng(0)
  x = rng.uniform(size=(5, 7)).astype(np.float32)
  logits = rng.uniform(-4, 4, (5, 7)).astype(np.float32)
  actual = jax.jit(reconstruction.bernoulli_cross_entropy)(x, logits)
  expected = sum_features(
    jax.jit(divergences.bernoulli_cross_entropy)(x, jax.nn.sigmoid(logits))
  )
  # A sigmoid near 1 - e^-4 is rounded by 2^-24, which is 3e-6 of e^-4.
  np.testing.assert_allclose(actual, expected, rtol=1e-5)


@pytest.mark.parametrize(
  ("logit", "x", "value", "gradient"),
  [
    (1000, 0, 1000, 1),
    (1000, 0.5, 500, 0.5),
    (1000, 1, 0, 0),
    (-1000, 0, 0, 0),
    (-1000, 0.5, 500, -0.5),
    (-1000, 1, 1000, -1),
  ],
)
def test_bernoulli_cross_entropy_of_extreme_logits(logit, x, value, gradient):
  x, logits = np.float32([[x]]), np.float32([[logit]])
  losses, pullback = jax.vjp(
    jax.jit(reconstruction.bernoulli_cross_entropy), x, logits
  )
  x_gradient, logits_gradient = pullback(np.ones(1, np.float32))
  np.testing.assert_array_equal(losses, [value])
  np.testing.assert_array_equal(logits_gradient, [[gradient]])
  np.testing.assert_array_equal(x_gradient, -logits)


@pytest.mark.parametrize(
  "distance",
  [reconstruction.half_squared_error, reconstruction.bernoulli_cross_entropy],
)
@pytest.mark.parametrize(
  ("shape", "other"),
  [
    ((4, 3), (3, 4)),
    ((4, 3), (4, 1)),
    ((4, 3), (1, 3)),
    ((4, 3), (3,)),
    ((4, 3), ()),
    ((4,), (4, 1)),
    ((2, 4, 4, 1), (2, 16)),
  ],
)
def test_shapes_that_differ_are_an_error(distance, shape, other):
  with pytest.raises(ValueError, match="differ in shape") as error:
    jax.jit(distance)(np.zeros(shape), np.zeros(other))
  assert str(shape) in str(error.value)
  assert str(other) in str(error.value)


@pytest.mark.parametrize(
  "distance",
  [reconstruction.half_squared_error, reconstruction.bernoulli_cross_entropy],
)
def test_gradients(distance):
  rng = np.random.default_rng(0)
  # In float64: differences in float32 would leave two digits to compare.
  with jax.enable_x64(True):
    x, decoded = rng.uniform(size=(2, 3, 4, 4, 2))
    check_grads(jax.jit(distance), (x, decoded), order=1)
