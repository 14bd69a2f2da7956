"""Each likelihood against SciPy: densities, means, gradients at the ends."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np
import pytest
from scipy import special, stats

from ae_jax.declarations import keyword_only
from ae_jax.likelihoods import LIKELIHOODS
from ae_jax.likelihoods.special import log_rising
from ae_jax.networks import Spec

BATCH, FEATURES = 40, (3, 2)
COUNTS = (0.0, 1.0, 1e4)
# Of values near 1, each rounded a few times by 2^-24 = 6e-8; the sums of six
# features lose a digit.
TOLERANCE = {"rtol": 1e-5, "atol": 1e-5}


def floored(log_scale):
  return np.exp(-6 + np.logaddexp(0, log_scale + 6))


def scale_of(decoded, speed=10):
  return floored(speed * decoded[..., 1])


class Case(NamedTuple):
  """A likelihood, and what SciPy has for it.

  Attributes:
    draw: rng -> x.
    distribution: (decoded in float64, x) -> a frozen distribution of SciPy.
    hyper: that differ from the defaults.
    ends: x at the ends of the support.
  """

  draw: Callable
  distribution: Callable
  hyper: dict[str, Any] = {}
  ends: tuple[float, ...] = (-1e3, 0.0, 1e3)


def normal(rng):
  return rng.normal(size=(BATCH, *FEATURES))


# A parameter that all examples share counts ten times.
def gaussian(decoded, x, speed=10):
  return stats.norm(decoded[..., 0], scale_of(decoded, speed))


def fixed_gaussian(sigma):
  hyper = {"sigma": sigma}
  return Case(normal, lambda decoded, x: stats.norm(decoded, sigma), hyper)


def laplace(decoded, x):
  return stats.laplace(decoded[..., 0], scale_of(decoded))


def student_t(decoded, x):
  return stats.t(5.0, decoded[..., 0], scale_of(decoded))


class TruncatedExponential:
  """The continuous Bernoulli: density e^(h x) on [0, 1], up to a factor."""

  dist = stats.truncexpon

  def __init__(self, h):
    self.h, size = h, np.abs(h)
    self.falling = stats.truncexpon(b=size, scale=1 / size)

  def logpdf(self, x):
    return self.falling.logpdf(np.where(self.h > 0, 1 - x, x))

  def mean(self):
    mean = self.falling.mean()
    return np.where(self.h > 0, 1 - mean, mean)


def share_of_16(decoded, x):
  distribution = stats.binom(16, special.expit(decoded))
  return Scaled(distribution, 16)


class Scaled:
  """The distribution of a count divided by its greatest value."""

  def __init__(self, distribution, factor):
    self.of, self.factor, self.dist = distribution, factor, distribution.dist

  def logpmf(self, x):
    return self.of.logpmf(np.rint(x * self.factor))

  def mean(self):
    return self.of.mean() / self.factor


def library_mean(h, x):
  flat = h.reshape(BATCH, -1)
  size = np.maximum(x.reshape(BATCH, -1).sum(axis=1, keepdims=True), 1)
  return (size * special.softmax(flat, axis=1)).reshape(h.shape)


def softplus(h, x):
  return np.logaddexp(0, h)


def poisson(decoded, x, mean=library_mean):
  return stats.poisson(mean(decoded, x))


def bent(x, least=-6, greatest=10):
  x = least + np.logaddexp(0, x - least)
  return greatest - np.logaddexp(0, greatest - x)


def negative_binomial(decoded, x, mean=library_mean):
  theta = np.exp(bent(10 * decoded[..., -1]))
  return stats.nbinom(theta, theta / (theta + mean(decoded[..., 0], x)))


class Inflated:
  """With a share of zeros added."""

  def __init__(self, decoded, x):
    self.of = negative_binomial(decoded[..., [0, 2]], x)
    self.zeros, self.dist = special.expit(decoded[..., 1]), self.of.dist

  def logpmf(self, x):
    mass = (1 - self.zeros) * self.of.pmf(x)
    return np.log(mass + self.zeros * (x == 0))

  def mean(self):
    return (1 - self.zeros) * self.of.mean()


def counts(rng):
  x = rng.negative_binomial(0.8, 0.05, size=(BATCH, *FEATURES))
  x[0] = 0  # an example without any
  return x


def gray(rng):
  return rng.uniform(size=(BATCH, *FEATURES))


CASES = {
  "laplace": Case(normal, laplace),
  "student_t": Case(normal, student_t),
  "continuous_bernoulli": Case(
    gray, lambda decoded, x: TruncatedExponential(decoded), ends=(0.0, 1.0)
  ),
  "bernoulli": Case(
    lambda rng: rng.integers(0, 2, (BATCH, *FEATURES)),
    lambda decoded, x: stats.bernoulli(special.expit(decoded)),
    ends=(0.0, 1.0),
  ),
  "binomial": Case(
    lambda rng: rng.integers(0, 17, (BATCH, *FEATURES)) / 16,
    share_of_16,
    ends=(0.0, 0.5, 1.0),
  ),
  "poisson": Case(counts, poisson, ends=COUNTS),
  "poisson-softplus": Case(
    counts,
    functools.partial(poisson, mean=softplus),
    {"library_size": False},
    COUNTS,
  ),
  "negative_binomial": Case(counts, negative_binomial, ends=COUNTS),
  "negative_binomial-softplus": Case(
    counts,
    functools.partial(negative_binomial, mean=softplus),
    {"library_size": False},
    COUNTS,
  ),
  "zero_inflated_negative_binomial": Case(counts, Inflated, ends=COUNTS),
  "fixed_gaussian": fixed_gaussian(1.0),
  "fixed_gaussian-narrow": fixed_gaussian(0.1),
  "fixed_gaussian-wide": fixed_gaussian(30.0),
  "calibrated_gaussian": Case(normal, gaussian),
  "calibrated_gaussian-feature": Case(normal, gaussian, {"scale": "feature"}),
  "calibrated_gaussian-example": Case(
    normal, functools.partial(gaussian, speed=1), {"scale": "example"}
  ),
}


def likelihood_of(name):
  function = LIKELIHOODS[name.partition("-")[0]]
  hyper = keyword_only(function) | CASES[name].hyper
  spec = Spec(
    FEATURES, 2, likelihood=name.partition("-")[0], options=(*hyper.items(),)
  )
  return spec.likelihood_of({k: v for k, v in hyper.items() if v != str(v)})


def decoded_of(likelihood, rng):
  """What a decoder may give, with parameters that examples share."""
  shared = jax.tree.map(
    lambda p: rng.uniform(-0.2, 0.2, p.shape).astype(np.float32),
    likelihood.init(),
  )
  h = rng.normal(size=(BATCH, *FEATURES, likelihood.size)).astype(np.float32)
  decoded = likelihood.decoded({"likelihood": shared}, h, FEATURES)
  return np.asarray(decoded)


def log_density(distribution, x):
  discrete = isinstance(distribution.dist, stats.rv_discrete)
  return distribution.logpmf(x) if discrete else distribution.logpdf(x)


@pytest.mark.parametrize("name", CASES)
def test_each_log_density_is_scipys(name):
  rng = np.random.default_rng(0)
  likelihood = likelihood_of(name)
  decoded = decoded_of(likelihood, rng)
  x = CASES[name].draw(rng).astype(np.float32)
  distribution = CASES[name].distribution(decoded.astype(float), x)
  expected = -log_density(distribution, x.astype(float))
  actual = jax.jit(likelihood.per_feature)(x, decoded)
  np.testing.assert_allclose(actual, expected, **TOLERANCE)
  total = expected.reshape(BATCH, -1).sum(axis=1)
  np.testing.assert_allclose(
    jax.jit(likelihood.nll)(x, decoded), total, **TOLERANCE
  )


@pytest.mark.parametrize("name", CASES)
def test_each_mean_is_scipys(name):
  rng = np.random.default_rng(1)
  likelihood = likelihood_of(name)
  decoded = decoded_of(likelihood, rng)
  x = CASES[name].draw(rng).astype(np.float32)
  expected = CASES[name].distribution(decoded.astype(float), x).mean()
  actual = jax.jit(likelihood.mean)(decoded, x)
  np.testing.assert_allclose(actual, expected, **TOLERANCE)


@pytest.mark.parametrize("name", CASES)
def test_gradients_are_finite_at_the_ends(name):
  likelihood = likelihood_of(name)
  decoded = decoded_of(likelihood, np.random.default_rng(2))
  gradient = jax.jit(
    jax.value_and_grad(lambda d, x: likelihood.nll(x, d).sum())
  )
  for value in (-1e3, 0.0, 1e3):
    for x in CASES[name].ends:
      for column in range(decoded.shape[-1] if decoded.ndim == 4 else 1):
        extreme = decoded.copy().reshape(BATCH, *FEATURES, -1)
        extreme[..., column] = value
        examples = np.full((BATCH, *FEATURES), x, np.float32)
        found = gradient(extreme.reshape(decoded.shape), examples)
        for leaf in jax.tree.leaves(found):
          assert np.isfinite(leaf).all(), (value, x, column)


def test_a_scale_of_nothing_left_to_explain_has_a_floor():
  likelihood = likelihood_of("calibrated_gaussian")
  decoded = np.zeros((1, *FEATURES, 2), np.float32)
  decoded[..., 1] = -1e30
  value, gradient = jax.value_and_grad(
    lambda d: likelihood.nll(np.zeros((1, *FEATURES), np.float32), d)[0]
  )(decoded)
  # log N(0; 0, e^-12) of six features.
  np.testing.assert_allclose(value, 6 * (-6 + 0.5 * np.log(2 * np.pi)), 1e-6)
  assert np.isfinite(gradient).all()


@pytest.mark.parametrize("columns", [1, 5])
def test_multinomial_and_categorical_are_scipys(columns):
  rng = np.random.default_rng(3)
  h = rng.normal(size=(BATCH, columns)).astype(np.float32)
  p = special.softmax(h.astype(float), axis=1)
  x = rng.poisson(4.0, (BATCH, columns)).astype(np.float32)
  x[0] = 0
  spec = Spec((columns,), 2, likelihood="multinomial")
  ours = spec.likelihood_of({})
  expected = stats.multinomial(x.sum(axis=1), p)
  np.testing.assert_allclose(
    jax.jit(ours.nll)(x, h), -expected.logpmf(x), **TOLERANCE
  )
  np.testing.assert_allclose(
    jax.jit(ours.mean)(h, x), x.sum(axis=1, keepdims=True) * p, **TOLERANCE
  )
  one_hot = np.eye(columns, dtype=np.float32)[rng.integers(columns, size=BATCH)]
  ours = Spec((columns,), 2, likelihood="categorical").likelihood_of({})
  np.testing.assert_allclose(
    jax.jit(ours.nll)(one_hot, h),
    -stats.multinomial(1, p).logpmf(one_hot),
    **TOLERANCE,
  )
  np.testing.assert_allclose(jax.jit(ours.mean)(h), p, **TOLERANCE)


@pytest.mark.parametrize("theta", [0.01, 1.0, 9.9, 10.1, 1e3, 2e4])
def test_a_ratio_of_gamma_functions_of_any_size(theta):
  x = np.float32([0, 1, 3, 50, 1000])
  actual = jax.jit(log_rising)(x, np.float32(theta))
  theta = float(np.float32(theta))
  expected = special.gammaln(x.astype(float) + theta) - special.gammaln(theta)
  # Terms of up to 1e4 cancel in part: three digits of 1e-7 at most.
  np.testing.assert_allclose(actual, expected, rtol=2e-6, atol=2e-6)


def test_the_continuous_bernoullis_series_meet_its_closed_form():
  h = np.float32([-0.31, -0.29, -1e-3, 0, 1e-6, 0.299, 0.301])
  x = np.full_like(h, 0.3)
  double = np.where(h == 0, 1e-9, h.astype(float))
  expected = TruncatedExponential(double)
  ours = Spec((7,), 2, likelihood="continuous_bernoulli").likelihood_of({})
  np.testing.assert_allclose(
    ours.per_feature(x[None], h[None])[0], -expected.logpdf(0.3), atol=1e-6
  )
  # Right to 17 h^7 / 3e7.
  mean = 0.5 + double / 12 - double**3 / 720 + double**5 / 30240
  np.testing.assert_allclose(ours.mean(h[None])[0], mean, atol=1e-6)
