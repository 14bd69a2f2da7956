"""Densities of real numbers around a mean: of a scale given or learned.

A learned scale is one number (`scale="shared"`), one for each feature
("feature"), or an output of the decoder for each feature of each example
("example"). It is at least `e^MIN_LOG_SCALE`, so that data that are
reconstructed perfectly, or features that never vary, do not drive the density
to infinity.
"""

import functools
import math

import jax
import jax.numpy as jnp

from ae_jax.declarations import likelihood
from ae_jax.divergences import LOG_2PI
from ae_jax.likelihoods.likelihood import check_same_shape, sum_features
from ae_jax.likelihoods.special import log_rising
from ae_jax.types import Array, Params, UsageError

MIN_LOG_SCALE = -6.0
# A shared scale moves so many times as fast as other parameters: under Adam by
# 1 in a hundred steps at a learning rate of 1e-3.
_SPEED = 10.0
_SCALES = ("shared", "feature", "example")


def half_squared_error(x: Array, reconstruction: Array) -> Array:
  """Half the squared distance, `1/2 ||x - x~||^2`.

  The negative log-density of N(x~, I) in nats, less `d/2 log 2 pi`.

  Args:
    x: data `[batch, *features]`.
    reconstruction: x~, the shape of `x`.

  Returns:
    `[batch]`, summed over the features.

  Raises:
    ValueError: the shapes differ.
  """
  return sum_features(gaussian(x, reconstruction))


def _identity(decoded: Array, **_: object) -> Array:
  return decoded


@likelihood(mean=_identity, log_normalizer=0.5 * LOG_2PI, formula="h")
def gaussian(x: Array, decoded: Array) -> Array:
  """`-log N(x; x~, I)`: half the squared error of each feature."""
  check_same_shape(x, decoded)
  return 0.5 * (x - decoded) ** 2


@likelihood(
  mean=_identity,
  activation="sigmoid",
  log_normalizer=0.5 * LOG_2PI,
  formula="sigmoid(h)",
)
def sigmoid_gaussian(x: Array, decoded: Array) -> Array:
  """The same, with x~ in (0, 1)."""
  return gaussian(x, decoded)


@likelihood(mean=_identity, ranges={"sigma": (1e-6, math.inf)}, formula="h")
def fixed_gaussian(x: Array, decoded: Array, *, sigma: float = 1.0) -> Array:
  """`((x - x~) / sigma)^2 / 2 + log sigma + 1/2 log 2 pi`, sigma fixed.

  The gradient of a VAE's bound is that of a `gaussian` one with
  `beta = sigma^2`, divided by sigma^2; but here it is a bound on log p(x).

  Args:
    x: data `[batch, *features]`.
    decoded: x~, the shape of `x`.
    sigma: the standard deviation of each feature, in the units of `x`.

  Returns:
    `[batch, *features]` in nats.

  References:
    Lucas et al., "Don't Blame the ELBO!", 2019, section 4; Rybkin et al.,
    "Simple and Effective VAE Training with Calibrated Decoders", 2021, section
    3.1: its relation to beta.
  """
  squared = gaussian(x, decoded) / sigma**2
  return squared + jnp.log(sigma) + 0.5 * LOG_2PI


def _size(*, scale: str) -> int:
  if scale not in _SCALES:
    raise UsageError(f"scale is {scale!r}; allowed: {', '.join(_SCALES)}")
  return 2 if scale == "example" else 1


def _params(features: tuple[int, ...], *, scale: str) -> Params:
  if scale == "example":
    return {}
  return {"log_scale": jnp.zeros(features if scale == "feature" else ())}


def _mean(decoded: Array, **_: object) -> Array:
  return decoded[..., 0]


_FORMULA = "h, or h[..., 0] where h holds two numbers for each feature"
_learned = functools.partial(
  likelihood, mean=_mean, size=_size, params=_params, formula=_FORMULA
)


def _standardized(x: Array, decoded: Array, scale: str) -> tuple[Array, Array]:
  """(x - x~) / s and log s, each `[batch, *features]`."""
  mean, log_scale = decoded[..., 0], decoded[..., 1]
  check_same_shape(x, mean)
  if scale != "example":
    log_scale = _SPEED * log_scale
  log_scale = MIN_LOG_SCALE + jax.nn.softplus(log_scale - MIN_LOG_SCALE)
  return (x - mean) * jnp.exp(-log_scale), log_scale


@_learned()
def calibrated_gaussian(
  x: Array, decoded: Array, *, scale: str = "shared"
) -> Array:
  """`-log N(x; x~, s^2) = ((x - x~) / s)^2 / 2 + log s + 1/2 log 2 pi`.

  With s fixed at 1 a VAE trades errors against divergence at that variance,
  whatever the units of the data: where all principal components have a variance
  below 1 its code collapses.

  Args:
    x: data `[batch, *features]`.
    decoded: x~ and the scale's parameter, `[batch, *features, 2]`.
    scale: whose s is learned: one "shared" by all, one of each "feature", one
      of each feature of each "example".

  Returns:
    `[batch, *features]` in nats.

  References:
    Rybkin et al., "Simple and Effective VAE Training with Calibrated Decoders",
    2021, section 3; Lucas et al., "Don't Blame the ELBO!", 2019.
  """
  residual, log_scale = _standardized(x, decoded, scale)
  return 0.5 * residual**2 + log_scale + 0.5 * LOG_2PI


@_learned()
def laplace(x: Array, decoded: Array, *, scale: str = "shared") -> Array:
  """`|x - x~| / s + log 2s`: errors count by their size, not its square.

  Args:
    x: data `[batch, *features]`.
    decoded: see `calibrated_gaussian`, as `scale`.
    scale: whose s is learned.

  Returns:
    `[batch, *features]` in nats.
  """
  residual, log_scale = _standardized(x, decoded, scale)
  return jnp.abs(residual) + log_scale + math.log(2)


@_learned(ranges={"degrees_of_freedom": (1.0, math.inf)})
def student_t(
  x: Array,
  decoded: Array,
  *,
  degrees_of_freedom: float = 5.0,
  scale: str = "shared",
) -> Array:
  """`-log t_nu((x - x~) / s) + log s`: outliers cost by their logarithm.

  With r = (x - x~) / s, `(nu + 1)/2 log(1 + r^2 / nu) + log s
  - log G((nu + 1)/2) / G(nu/2) + 1/2 log(nu pi)`, G the gamma function.

  Args:
    x: data `[batch, *features]`.
    decoded: see `calibrated_gaussian`, as `scale`.
    degrees_of_freedom: nu; at 1 there is no mean, and x~ is the median.
    scale: whose s is learned.

  Returns:
    `[batch, *features]` in nats.
  """
  residual, log_scale = _standardized(x, decoded, scale)
  nu = degrees_of_freedom
  return (
    0.5 * (nu + 1) * jnp.log1p(residual**2 / nu)
    + log_scale
    - log_rising(0.5, 0.5 * nu)
    + 0.5 * jnp.log(nu * math.pi)
  )
