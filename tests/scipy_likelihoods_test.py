"""Each likelihood against SciPy: densities, means, gradients at the ends."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np
import pytest
from scipy import stats

from ae_jax.declarations import keyword_only
from ae_jax.likelihoods import LIKELIHOODS
from ae_jax.networks import Spec

BATCH, FEATURES = 40, (3, 2)
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


def gaussian(decoded, x, speed=10):
  return stats.norm(decoded[..., 0], scale_of(decoded, speed))


CASES = {
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
