"""Tests of `corruptions`: statistics of many draws, with standard errors."""

import jax
import numpy as np
import pytest

from ae_jax import corruptions

CORRUPTIONS = [
  corruptions.gaussian,
  corruptions.masking,
  corruptions.salt_and_pepper,
]
SHAPE = (400, 500)
NUM_DRAWS = 400 * 500


def data() -> np.ndarray:
  """Features strictly inside (0, 1): a 0 or a 1 is a corruption."""
  rng = np.random.default_rng(0)
  return rng.uniform(0.2, 0.8, SHAPE).astype(np.float32)


def assert_share(struck: np.ndarray, probability: float) -> None:
  deviation = np.sqrt(probability * (1 - probability))
  # Within 4 standard errors: a right share fails once in 16,000 seeds.
  assert abs(np.mean(struck) - probability) < 4 * deviation / struck.size**0.5


def assert_independent(struck: np.ndarray) -> None:
  """Checks that the share varies from row to row as independent draws do."""
  p = np.mean(struck)
  for axis in (0, 1):
    shares = np.mean(struck, axis=axis)
    ratio = np.var(shares) / (p * (1 - p) / struck.shape[axis])
    # A variance over m shares has a relative standard error of sqrt(2 / m).
    assert abs(ratio - 1) < 4 * np.sqrt(2 / len(shares))


@pytest.mark.parametrize("corruption", CORRUPTIONS)
def test_level_zero_is_the_identity(corruption):
  x = data()
  noisy = jax.jit(corruption)(jax.random.key(0), x, 0.0)
  np.testing.assert_array_equal(noisy, x)


def test_masking_of_everything_leaves_zeros():
  noisy = jax.jit(corruptions.masking)(jax.random.key(0), data(), 1.0)
  np.testing.assert_array_equal(noisy, 0)


def test_salt_and_pepper_of_everything_leaves_coins():
  noisy = jax.jit(corruptions.salt_and_pepper)(jax.random.key(0), data(), 1.0)
  assert set(np.unique(noisy)) == {0, 1}


@pytest.mark.parametrize("variance", [0.01, 0.25, 4.0])
def test_gaussian_level_is_a_variance(variance):
  x = data()
  noisy = jax.jit(corruptions.gaussian)(jax.random.key(0), x, variance)
  noise = (noisy - x).astype(float)
  # 4 standard errors: of a mean sqrt(v / n), of a variance v sqrt(2 / n).
  assert abs(np.mean(noise)) < 4 * np.sqrt(variance / NUM_DRAWS)
  assert abs(np.var(noise) - variance) < 4 * variance * np.sqrt(2 / NUM_DRAWS)
  assert_independent(noise > 0)


@pytest.mark.parametrize("probability", [0.1, 0.5, 0.9])
def test_masking_share(probability):
  x = data()
  noisy = np.asarray(
    jax.jit(corruptions.masking)(jax.random.key(0), x, probability)
  )
  masked = noisy == 0
  assert_share(masked, probability)
  assert_independent(masked)
  np.testing.assert_array_equal(noisy[~masked], x[~masked])


@pytest.mark.parametrize("probability", [0.1, 0.5, 0.9])
def test_salt_and_pepper_share(probability):
  x = data()
  noisy = np.asarray(
    jax.jit(corruptions.salt_and_pepper)(jax.random.key(0), x, probability)
  )
  replaced = noisy != x
  assert_share(replaced, probability)
  assert_independent(replaced)
  assert set(np.unique(noisy[replaced])) == {0, 1}
  assert_share(noisy[replaced], 0.5)


@pytest.mark.parametrize("corruption", CORRUPTIONS)
def test_noise_is_a_function_of_the_key(corruption):
  corrupt = jax.jit(corruption)
  x = data()
  noisy = corrupt(jax.random.key(0), x, 0.5)
  again = corrupt(jax.random.key(0), x, 0.5)
  other = corrupt(jax.random.key(1), x, 0.5)
  np.testing.assert_array_equal(noisy, again)
  # Two masks of 0.5 agree on half, two salt-and-peppers on 3/8 of the features.
  assert np.mean(noisy != other) > 0.4


@pytest.mark.parametrize("corruption", CORRUPTIONS)
def test_levels_can_be_vmapped(corruption):
  key, x = jax.random.key(0), data()[:20]
  levels = np.float32([0, 0.1, 0.7, 1])
  sweep = jax.jit(jax.vmap(corruption, in_axes=(None, None, 0)))
  for level, actual in zip(levels, sweep(key, x, levels), strict=True):
    solo = jax.jit(corruption)(key, x, level)
    # The same draws; x + sqrt(v) e may be rounded once or twice: 2^-23.
    np.testing.assert_allclose(actual, solo, rtol=1e-6, atol=1e-6)
