"""Tests of `reconstruction`, against the densities of SciPy."""

import jax
import numpy as np
import pytest
from jax.test_util import check_grads
from scipy import special, stats

from ae_jax import divergences, likelihoods

SHAPES = [(6,), (5, 7), (3, 4, 4, 2)]  # [batch, *features]


def sum_features(values: np.ndarray) -> np.ndarray:
  return np.sum(values.reshape(len(values), -1), axis=1)


@pytest.mark.parametrize("shape", SHAPES)
def test_half_squared_error_is_a_gaussian_log_density(shape):
  rng = np.random.default_rng(0)
  x, x_tilde = rng.normal(size=(2, *shape)).astype(np.float32)
  constant = 0.5 * np.log(2 * np.pi)
  expected = sum_features(-stats.norm.logpdf(x, x_tilde) - constant)

  actual = jax.jit(likelihoods.half_squared_error)(x, x_tilde)

  # Up to 32 positive float32 terms, each rounded by 2^-24 = 6e-8 a few times.
  np.testing.assert_allclose(actual, expected, rtol=2e-6)


@pytest.mark.parametrize("shape", SHAPES)
def test_bernoulli_cross_entropy_is_a_bernoulli_log_mass(shape):
  rng = np.random.default_rng(0)
  x = rng.integers(0, 2, shape).astype(np.float32)
  logits = rng.normal(0, 3, shape).astype(np.float32)
  probability = special.expit(logits.astype(float))
  expected = sum_features(-stats.bernoulli.logpmf(x, probability))

  actual = jax.jit(likelihoods.bernoulli_cross_entropy)(x, logits)

  # Each term is a difference of numbers up to |l| = 10: off by up to 1e-6.
  np.testing.assert_allclose(actual, expected, rtol=2e-6, atol=2e-6)


def test_bernoulli_cross_entropy_from_logits_is_that_of_their_sigmoid():
  rng = np.random.default_rng(0)
  x = rng.uniform(size=(5, 7)).astype(np.float32)
  logits = rng.uniform(-4, 4, (5, 7)).astype(np.float32)
  actual = jax.jit(likelihoods.bernoulli_cross_entropy)(x, logits)
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
    jax.jit(likelihoods.bernoulli_cross_entropy), x, logits
  )
  x_gradient, logits_gradient = pullback(np.ones(1, np.float32))
  np.testing.assert_array_equal(losses, [value])
  np.testing.assert_array_equal(logits_gradient, [[gradient]])
  np.testing.assert_array_equal(x_gradient, -logits)


NUM_LOGISTICS = likelihoods.NUM_LOGISTICS


def mixtures(*shape: int, least: float = -7) -> np.ndarray:
  """Parameters of mixtures whose log-scales go from `least` to 1."""
  rng = np.random.default_rng(0)
  size = (*shape, NUM_LOGISTICS)
  parts = rng.normal(size=size), rng.uniform(-0.2, 1.2, size)
  log_scale = rng.uniform(least, 1, size)
  return np.concatenate([*parts, log_scale], axis=-1, dtype=np.float32)


def scipy_masses(parameters: np.ndarray) -> np.ndarray:
  """Masses of the 256 levels, in float64: differences of SciPy's CDFs."""
  logits, mean, log_scale = np.split(parameters.astype(float), 3, axis=-1)
  edges = np.concatenate([[-np.inf], (np.arange(255) + 0.5) / 255, [np.inf]])
  cdf = stats.logistic.cdf(
    edges[:, None], mean[..., None, :], np.exp(log_scale)[..., None, :]
  )
  weights = special.softmax(logits, axis=-1)[..., None, :]
  return np.diff(np.sum(weights * cdf, axis=-1), axis=-1)


@pytest.mark.parametrize("shape", SHAPES)
def test_logistic_mixture_is_a_log_mass(shape):
  rng = np.random.default_rng(1)
  level = rng.integers(0, 256, shape)
  level[0] = 0
  level[1] = 255
  parameters = mixtures(*shape, least=-2)  # wider, and no mass is below 1e-7
  masses = scipy_masses(parameters)
  taken = np.take_along_axis(masses, level[..., None], axis=-1)[..., 0]
  x = level.astype(np.float32) / 255
  actual = sum_features(jax.jit(likelihoods.logistic_mixture)(x, parameters))
  # A mass of 1e-3 is that of float32 arguments near 1, times e^2: 1e-5 of it.
  np.testing.assert_allclose(
    actual, sum_features(-np.log(taken)), rtol=2e-5, atol=2e-5
  )


def test_masses_and_mean_of_logistic_mixtures():
  parameters = mixtures(40, 9)
  expected = scipy_masses(parameters)
  masses = jax.jit(likelihoods.logistic_mixture_masses)(parameters)
  # Differences of float32 numbers up to 1, of arguments that are off by 1e-4.
  np.testing.assert_allclose(masses, expected, atol=5e-5)
  np.testing.assert_allclose(np.sum(masses, -1), 1, rtol=1e-5)
  each = jax.jit(likelihoods.logistic_mixture)(
    np.tile(np.arange(256, dtype=np.float32)[:, None] / 255, (1, 9)),
    np.tile(parameters[:1], (256, 1, 1)),
  ).sum(axis=1)
  in_order = -np.sum(np.log(np.maximum(expected[0], 1e-300)), axis=0)
  shown = in_order < 200  # nats, of all nine features
  assert shown.any()
  np.testing.assert_allclose(each[shown], in_order[shown], rtol=1e-3)

  mean = jax.jit(likelihoods.logistic_mixture_mean)(parameters)
  # Discretizing moves a narrow logistic by half a level at most.
  np.testing.assert_allclose(
    mean, expected @ (np.arange(256) / 255), atol=0.5 / 255 + 1e-4
  )


@pytest.mark.parametrize("value", [-1e30, -1e3, 0.0, 1e3, 1e30])
@pytest.mark.parametrize("part", range(3))
def test_logistic_mixture_of_extreme_parameters(part, value):
  parameters = mixtures(3, 5)
  parts = np.split(parameters, 3, axis=-1)
  parts[part][...] = value
  parameters = np.concatenate(parts, axis=-1)
  x = np.float32([[0], [0.5], [1]]) * np.ones((3, 5), np.float32)
  losses, pullback = jax.vjp(
    jax.jit(likelihoods.logistic_mixture), x, parameters
  )
  gradients = pullback(np.ones((3, 5), np.float32))
  mean = jax.jit(likelihoods.logistic_mixture_mean)(parameters)
  for array in (losses, *gradients, mean):
    assert np.isfinite(array).all()
  if part == 1 and value:
    np.testing.assert_allclose(mean, value > 0, atol=1e-5)


def test_parameters_of_another_number_of_logistics_are_an_error():
  with pytest.raises(ValueError, match="do not belong together"):
    jax.jit(likelihoods.logistic_mixture)(np.zeros((4, 3)), np.zeros((4, 3, 5)))


@pytest.mark.parametrize(
  "distance",
  [likelihoods.half_squared_error, likelihoods.bernoulli_cross_entropy],
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
  [likelihoods.half_squared_error, likelihoods.bernoulli_cross_entropy],
)
def test_gradients(distance):
  rng = np.random.default_rng(0)
  # In float64: differences in float32 would leave two digits to compare.
  with jax.enable_x64(True):
    x, decoded = rng.uniform(size=(2, 3, 4, 4, 2))
    check_grads(jax.jit(distance), (x, decoded), order=1)


def test_gradients_of_a_logistic_mixture():
  x = np.random.default_rng(2).integers(0, 256, (3, 4)) / 255
  with jax.enable_x64(True):
    parameters = np.clip(mixtures(3, 4).astype(float), -3, 3)

    def loss(parameters):
      return jax.jit(likelihoods.logistic_mixture)(x, parameters)

    check_grads(loss, (parameters,), order=1, rtol=1e-5)
