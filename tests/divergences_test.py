"""Tests of `divergences`, against SciPy, closed forms and Monte Carlo."""

import jax
import numpy as np
import pytest
from jax.test_util import check_grads
from scipy import special, stats

from ae_jax import divergences
from ae_jax.types import Gaussian

# A float32 sum of up to ten terms: a few roundings of 2^-24 = 6e-8 each. ATOL
# serves the sums whose terms cancel.
RTOL, ATOL = 2e-6, 1e-6

SHAPES = [(4,), (5, 7), (2, 3, 4)]


def distributions(
  seed: int, shape: tuple[int, ...], concentration: float = 1
) -> np.ndarray:
  rng = np.random.default_rng(seed)
  p = rng.dirichlet(np.full(shape[-1], concentration), shape[:-1])
  return p.astype(np.float32)


def gaussian(seed: int, shape: tuple[int, ...]) -> Gaussian:
  rng = np.random.default_rng(seed)
  return Gaussian(
    mean=rng.normal(size=shape).astype(np.float32),
    log_variance=rng.uniform(-2, 1, shape).astype(np.float32),
  )


def log_density(x: np.ndarray, p: Gaussian) -> np.ndarray:
  return stats.norm.logpdf(x, p.mean, np.exp(0.5 * p.log_variance))


@pytest.mark.parametrize("shape", SHAPES)
def test_discrete_measures_match_scipy(shape):
  p, q = distributions(0, shape), distributions(1, shape)
  entropy = stats.entropy(p.astype(float), axis=-1)
  kl = stats.entropy(p.astype(float), q.astype(float), axis=-1)
  cross_entropy = -np.sum(special.xlogy(p.astype(float), q), axis=-1)

  for actual, expected in [
    (jax.jit(divergences.entropy)(p), entropy),
    (jax.jit(divergences.kl)(p, q), kl),
    (jax.jit(divergences.cross_entropy)(p, q), cross_entropy),
  ]:
    np.testing.assert_allclose(actual, expected, RTOL, ATOL)


@pytest.mark.parametrize("shape", SHAPES)
def test_cross_entropy_is_kl_plus_entropy(shape):
  p, q = distributions(0, shape), distributions(1, shape)
  actual = jax.jit(divergences.cross_entropy)(p, q)
  expected = jax.jit(divergences.kl)(p, q) + jax.jit(divergences.entropy)(p)
  np.testing.assert_allclose(actual, expected, RTOL, ATOL)


@pytest.mark.parametrize(
  ("p", "expected"),
  [
    ([1.0, 0.0, 0.0], 0.0),
    ([0.0, 0.5, 0.5], np.log(2)),
    ([0.25, 0.25, 0.25, 0.25], np.log(4)),
  ],
)
def test_entropy_runs_from_certainty_to_log_n(p, expected):
  actual = jax.jit(divergences.entropy)(np.float32(p))
  np.testing.assert_allclose(actual, expected, RTOL)


@pytest.mark.parametrize(
  ("p", "q", "kl", "cross_entropy"),
  [
    # 0 log 0 = 0, whether the model rules the outcome out or not.
    ([0, 0.5, 0.5], [0, 0.25, 0.75], np.log(4 / 3) / 2, np.log(16 / 3) / 2),
    ([0, 0.5, 0.5], [0.5, 0.25, 0.25], np.log(2), np.log(4)),
    ([0, 1], [0, 1], 0, 0),
    # What happens and cannot happen costs inf, and not NaN.
    ([0.5, 0.5], [1, 0], np.inf, np.inf),
    ([0, 0.5, 0.5], [0.5, 0, 0.5], np.inf, np.inf),
  ],
)
def test_zeros(p, q, kl, cross_entropy):
  p, q = np.float32(p), np.float32(q)
  np.testing.assert_allclose(jax.jit(divergences.kl)(p, q), kl, RTOL)
  actual = jax.jit(divergences.cross_entropy)(p, q)
  np.testing.assert_allclose(actual, cross_entropy, RTOL)


def test_bernoulli_cross_entropy_is_that_of_two_outcomes():
  levels = np.float32([0, 0.01, 0.3, 0.5, 0.99, 1])
  a, b = (grid.astype(float) for grid in np.meshgrid(levels, levels[1:-1]))
  expected = -a * np.log(b) - (1 - a) * np.log(1 - b)

  actual = jax.jit(divergences.bernoulli_cross_entropy)(
    a.astype(np.float32), b.astype(np.float32)
  )
  # Near b = 0.99 the rounding of the difference 1 - a counts 4.6-fold.
  np.testing.assert_allclose(actual, expected, rtol=1e-5)

  two_outcomes = jax.jit(divergences.cross_entropy)(
    np.float32(np.stack([a, 1 - a], -1)), np.float32(np.stack([b, 1 - b], -1))
  )
  np.testing.assert_allclose(actual, two_outcomes, rtol=1e-5)


@pytest.mark.parametrize(
  ("a", "b", "expected"),
  [
    (0, 0, 0),
    (1, 1, 0),
    (0, 1, np.inf),
    (1, 0, np.inf),
    (0.5, 0, np.inf),
    (0.5, 1, np.inf),
  ],
)
def test_bernoulli_cross_entropy_of_a_certain_model(a, b, expected):
  actual = jax.jit(divergences.bernoulli_cross_entropy)(
    np.float32(a), np.float32(b)
  )
  assert actual == expected


@pytest.mark.parametrize("leading", [(), (6,), (2, 3)])
def test_gaussian_log_density_matches_scipy(leading):
  rng = np.random.default_rng(0)
  x = rng.normal(size=(*leading, 4)).astype(np.float32)
  mean = rng.normal(size=4).astype(np.float32)
  factor = rng.normal(size=(4, 4))
  covariance = (factor @ factor.T + np.eye(4)).astype(np.float32)

  actual = jax.jit(divergences.gaussian_log_density)(x, mean, covariance)

  expected = stats.multivariate_normal(mean, covariance).logpdf(x)
  assert actual.shape == leading
  # Roundings of S count by its condition number, here 10.
  np.testing.assert_allclose(actual, expected, rtol=1e-5)


@pytest.mark.diverges
def test_gaussian_log_density_needs_a_positive_definite_covariance():
  x, mean = np.zeros((3, 2), np.float32), np.zeros(2, np.float32)
  covariance = np.float32([[1, 2], [2, 1]])  # eigenvalues 3 and -1
  actual = jax.jit(divergences.gaussian_log_density)(x, mean, covariance)
  assert np.all(np.isnan(actual))


@pytest.mark.parametrize("shape", SHAPES)
def test_diagonal_gaussian_log_density_matches_scipy(shape):
  p = gaussian(0, shape)
  x = gaussian(1, shape).mean

  actual = jax.jit(divergences.diagonal_gaussian_log_density)(x, p)

  assert actual.shape == shape[:-1]
  for index in np.ndindex(shape[:-1]):
    expected = stats.multivariate_normal(
      p.mean[index], np.diag(np.exp(p.log_variance[index]))
    ).logpdf(x[index])
    np.testing.assert_allclose(actual[index], expected, rtol=1e-5)


def test_diagonal_density_is_the_full_one_of_a_diagonal_covariance():
  p = gaussian(0, (4,))
  x = gaussian(1, (6, 4)).mean
  rows = Gaussian(*(np.broadcast_to(field, x.shape) for field in p))
  actual = jax.jit(divergences.diagonal_gaussian_log_density)(x, rows)
  expected = jax.jit(divergences.gaussian_log_density)(
    x, p.mean, np.diag(np.exp(p.log_variance))
  )
  np.testing.assert_allclose(actual, expected, rtol=1e-5)


@pytest.mark.parametrize("shape", SHAPES)
def test_gaussian_kl_closed_form(shape):
  q, p = gaussian(0, shape), gaussian(1, shape)
  variance = np.exp(q.log_variance.astype(float))
  p_variance = np.exp(p.log_variance.astype(float))
  # log(s_p / s_q) + (s_q^2 + (m_q - m_p)^2) / (2 s_p^2) - 1/2
  expected = (
    0.5 * np.log(p_variance / variance)
    + (variance + (q.mean - p.mean).astype(float) ** 2) / (2 * p_variance)
    - 0.5
  )

  actual = jax.jit(divergences.univariate_gaussian_kl)(q, p)
  np.testing.assert_allclose(actual, expected, RTOL, ATOL)
  actual = jax.jit(divergences.gaussian_kl)(q, p)
  np.testing.assert_allclose(actual, np.sum(expected, axis=-1), RTOL, ATOL)


@pytest.mark.parametrize("shape", SHAPES)
def test_kl_from_standard_normal_closed_form(shape):
  q = gaussian(0, shape)
  mean, log_variance = (field.astype(float) for field in q)
  expected = -0.5 * np.sum(
    1 + log_variance - mean**2 - np.exp(log_variance), axis=-1
  )
  actual = jax.jit(divergences.kl_from_standard_normal)(q)
  np.testing.assert_allclose(actual, expected, RTOL, ATOL)

  normal = Gaussian(np.zeros_like(q.mean), np.zeros_like(q.mean))
  general = jax.jit(divergences.gaussian_kl)(q, normal)
  np.testing.assert_allclose(actual, general, RTOL)


@pytest.mark.parametrize("size", [1, 3])
@pytest.mark.parametrize("standard", [True, False])
def test_gaussian_kl_matches_monte_carlo(size, standard):
  q, p = gaussian(0, (size,)), gaussian(1, (size,))
  if standard:
    p = Gaussian(np.zeros_like(q.mean), np.zeros_like(q.mean))
    actual = jax.jit(divergences.kl_from_standard_normal)(q)
  else:
    actual = jax.jit(divergences.gaussian_kl)(q, p)

  # KL(q || p) = E_q[log q(z) - log p(z)]
  num_samples = 200_000
  noise = np.random.default_rng(0).normal(size=(num_samples, size))
  z = q.mean + np.exp(0.5 * q.log_variance) * noise
  ratio = np.sum(log_density(z, q) - log_density(z, p), axis=-1)
  standard_error = np.std(ratio) / np.sqrt(num_samples)
  # 4 standard errors: a right formula fails once in 16,000 seeds.
  assert abs(np.mean(ratio) - actual) < 4 * standard_error
  # The interval is narrow enough to tell a wrong formula.
  assert 4 * standard_error < 0.02 * actual


def test_a_certain_posterior_has_a_finite_density():
  # e^100 is beyond float32; the sample is the mean, as 50 + e^-50 rounds to it.
  q = Gaussian(np.full((1, 2), 50.0, "f"), np.full((1, 2), -100.0, "f"))
  standard = Gaussian(np.zeros((1, 2), "f"), np.zeros((1, 2), "f"))
  kl = float(divergences.gaussian_kl(q, standard)[0])
  np.testing.assert_allclose(kl, 2599, RTOL)
  ratio = divergences.log_ratio_to_mixture(q.mean, q, standard)[0]
  # A sample at the mean misses E[e^2] / 2 = 1/2 a unit.
  np.testing.assert_allclose(ratio, kl + 2 * 0.5, RTOL)


def test_gaussian_kl_of_equals_is_exactly_zero():
  q = gaussian(0, (5, 3))
  np.testing.assert_array_equal(jax.jit(divergences.gaussian_kl)(q, q), 0)


def test_gaussian_kl_is_accurate_near_equality():
  q = Gaussian(np.zeros(1, np.float32), np.full(1, 1e-3, np.float32))
  p = Gaussian(np.zeros(1, np.float32), np.zeros(1, np.float32))
  expected = 0.5 * (np.expm1(1e-3) - 1e-3)  # about 2.5e-7
  # expm1 is off by up to 2 ulp, 2e-7 of 1e-3, which is 4e-4 of the difference;
  # the naive e^v - 1 - v is off by up to a tenth of it.
  for actual in (
    jax.jit(divergences.kl_from_standard_normal)(q),
    jax.jit(divergences.gaussian_kl)(q, p),
  ):
    np.testing.assert_allclose(actual, expected, rtol=1e-3)


# Far from 0, where curvature would spoil the finite differences.
P, Q = distributions(0, (5, 4), 20), distributions(1, (5, 4), 20)


@pytest.mark.parametrize(
  ("function", "arguments"),
  [
    (divergences.entropy, [P]),
    (divergences.cross_entropy, [P, Q]),
    (divergences.kl, [P, Q]),
    (divergences.bernoulli_cross_entropy, [P, Q]),
    (
      divergences.gaussian_log_density,
      [
        gaussian(0, (5, 2)).mean,
        gaussian(1, (2,)).mean,
        np.float32([[2, 0.5], [0.5, 1]]),
      ],
    ),
    (
      divergences.diagonal_gaussian_log_density,
      [gaussian(0, (5, 3)).mean, gaussian(1, (5, 3))],
    ),
    (
      divergences.univariate_gaussian_kl,
      [gaussian(0, (5, 3)), gaussian(1, (5, 3))],
    ),
    (divergences.gaussian_kl, [gaussian(0, (5, 3)), gaussian(1, (5, 3))]),
    (divergences.kl_from_standard_normal, [gaussian(0, (5, 3))]),
  ],
)
def test_gradients(function, arguments):
  # In float64: differences in float32 would leave two digits to compare.
  with jax.enable_x64(True):
    arguments = jax.tree.map(np.float64, arguments)
    check_grads(jax.jit(function), arguments, order=1)


def test_squared_mmd_is_the_sum_over_pairs():
  rng = np.random.default_rng(0)
  x, y = rng.normal(size=(2, 7, 3)).astype(np.float32)
  y += 1

  def kernel(a, b):
    distance = np.sum((a - b) ** 2)
    return sum(6 * c / (6 * c + distance) for c in (0.1, 0.2, 0.5, 1, 2, 5, 10))

  pairs = [(i, j) for i in range(7) for j in range(7) if i != j]
  expected = (
    np.mean([kernel(x[i], x[j]) + kernel(y[i], y[j]) for i, j in pairs])
    - 2 * np.mean([kernel(a, b) for a in x for b in y])
  )  # fmt: skip
  actual = jax.jit(divergences.squared_mmd)(x, y, 6.0)
  # Sums of a few hundred kernels that cancel.
  np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-6)


def test_squared_mmd_of_one_distribution_is_zero_in_the_mean():
  x, y = jax.random.normal(jax.random.key(0), (2, 2000, 10, 3))
  values = jax.jit(jax.vmap(divergences.squared_mmd, (0, 0, None)))(x, y, 6.0)
  error = np.std(values) / np.sqrt(len(values))
  assert abs(np.mean(values)) < 4 * error
