"""Functions that stay exact where their textbook forms lose all digits."""

import jax
import jax.numpy as jnp

from ae_jax.types import Array, Scalar

gammaln = jax.scipy.special.gammaln
_LARGE = 10.0  # where Stirling's series is right to 1e-8


def bounded(x: Array, least: float, greatest: float) -> Array:
  """x, bent smoothly into (least, greatest)."""
  x = least + jax.nn.softplus(x - least)
  return greatest - jax.nn.softplus(greatest - x)


def log_softplus(x: Array) -> Array:
  """`log log(1 + e^x)`, which is x where e^x is small."""
  is_small = x < -15
  safe = jnp.where(is_small, 0, x)
  return jnp.where(is_small, x, jnp.log(jax.nn.softplus(safe)))


def log_rising(x: Array | float, start: Scalar) -> Array:
  """`log G(start + x) / G(start)`, G the gamma function, x at least 0.

  Of a large start by Stirling's series, whose leading terms cancel exactly.
  """
  is_large = start > _LARGE
  large = jnp.where(is_large, start, _LARGE)
  small = jnp.where(is_large, 1.0, start)
  series = (
    (large + x - 0.5) * jnp.log1p(x / large)
    + x * (jnp.log(large) - 1)
    + _stirling_rest(large + x)
    - _stirling_rest(large)
  )
  return jnp.where(is_large, series, gammaln(small + x) - gammaln(small))


def _stirling_rest(a: Array) -> Array:
  return 1 / (12 * a) - 1 / (360 * a**3)
