"""Bytes as a discretized mixture of logistics."""

import jax
import jax.numpy as jnp
import numpy as np

from ae_jax.declarations import Values, likelihood
from ae_jax.types import Array

NUM_LEVELS = 256  # values of a byte
NUM_LOGISTICS = 4  # in a mixture
_BIN = 1 / (NUM_LEVELS - 1)
_MAX_LOG_SCALE = 7.0  # either way: e^-7 is a quarter of a bin


def logistic_mixture_mean(parameters: Array) -> Array:
  """Mean of the clipped mixture, in [0, 1].

  `sum_k w_k s_k (softplus(m_k / s_k) - softplus((m_k - 1) / s_k))`, which is
  the integral of 1 - F from 0 to 1: of the mixture before it is discretized.

  Args:
    parameters: as `logistic_mixture` takes them.

  Returns:
    `[batch, *features]`.
  """
  log_weights, mean, inverse_scale = _logistics(parameters)
  # Symmetric: the mean of m is 1 - that of 1 - m, and small where m is.
  folded = jnp.minimum(mean, 1 - mean)
  above_0 = jax.nn.softplus(folded * inverse_scale)
  above_1 = jax.nn.softplus((folded - 1) * inverse_scale)
  low = (above_0 - above_1) / inverse_scale
  each = jnp.where(mean < 0.5, low, 1 - low)
  return jnp.sum(jnp.exp(log_weights) * each, axis=-1)


def _are_bytes(x: np.ndarray) -> bool:
  levels = x * (NUM_LEVELS - 1)
  # A float32 x is rounded by 2^-24 of itself.
  return bool(np.all(np.abs(levels - np.rint(levels)) < 1e-4))


@likelihood(
  mean=logistic_mixture_mean,
  size=3 * NUM_LOGISTICS,
  support=(0.0, 1.0),
  kind="mass",
  values=Values("bytes / 255", _are_bytes),
  relaxed=True,
  formula="sum_k w_k s_k (softplus(m_k / s_k) - softplus((m_k - 1) / s_k)),"
  f" where h holds for each feature {NUM_LOGISTICS} logits of the weights w,"
  f" {NUM_LOGISTICS} means m and {NUM_LOGISTICS} log-scales (clipped to -7 ..."
  " 7)",
)
def logistic_mixture(x: Array, parameters: Array) -> Array:
  """Negative log-mass of a discretized mixture of logistics, in nats.

  `p(x) = sum_k w_k (F_k(x + b/2) - F_k(x - b/2))`, `F_k(x) = sigmoid((x - m_k)
  / s_k)`, `b = 1/255`; all below b/2 counts as 0 and all above 1 - b/2 as 1, so
  that the masses of the 256 levels add up to 1. Finite, with finite gradients,
  at parameters up to 1e30.

  Args:
    x: data `[batch, *features]` in [0, 1]: bytes / 255.
    parameters: `[batch, *features, 3 NUM_LOGISTICS]`: logits of the weights w,
      means m, and log-scales, which are clipped to -7 ... 7.

  Returns:
    `[batch, *features]`.

  Raises:
    ValueError: the shapes do not belong together.

  References:
    Salimans et al., "PixelCNN++", 2017, eq. 2.
  """
  if parameters.shape != (*x.shape, 3 * NUM_LOGISTICS):
    raise ValueError(
      f"data {x.shape} and parameters {parameters.shape} of"
      f" {NUM_LOGISTICS} logistics do not belong together"
    )
  log_weights, mean, inverse_scale = _logistics(parameters)
  x = x[..., None]
  above = (x + 0.5 * _BIN - mean) * inverse_scale
  below = (x - 0.5 * _BIN - mean) * inverse_scale
  # F(above) - F(below) = s(above) s(-below) (1 - e^(below - above))
  log_first = jnp.where(x > 1 - 0.5 * _BIN, 0, -jax.nn.softplus(-above))
  log_second = jnp.where(x < 0.5 * _BIN, 0, -jax.nn.softplus(below))
  inside = (x >= 0.5 * _BIN) & (x <= 1 - 0.5 * _BIN)
  log_width = jnp.log(-jnp.expm1(-_BIN * inverse_scale))
  log_mass = log_first + log_second + jnp.where(inside, log_width, 0)
  return -jax.scipy.special.logsumexp(log_weights + log_mass, axis=-1)


def logistic_mixture_masses(parameters: Array) -> Array:
  """The masses of all levels, `[batch, *features, NUM_LEVELS]`.

  Args:
    parameters: as `logistic_mixture` takes them.
  """
  log_weights, mean, inverse_scale = _logistics(parameters)
  shape = (*parameters.shape[:-1], NUM_LEVELS - 1)
  edges = jnp.broadcast_to((jnp.arange(NUM_LEVELS - 1) + 0.5) * _BIN, shape)
  cumulative = jnp.zeros(shape)
  for k in range(NUM_LOGISTICS):
    scaled = (edges - mean[..., k, None]) * inverse_scale[..., k, None]
    cumulative += jnp.exp(log_weights[..., k, None]) * jax.nn.sigmoid(scaled)
  ends = [(0, 0)] * (cumulative.ndim - 1)
  lower = jnp.pad(cumulative, [*ends, (1, 0)])
  upper = jnp.pad(cumulative, [*ends, (0, 1)], constant_values=1)
  return jnp.maximum(upper - lower, 0)


def _logistics(parameters: Array) -> tuple[Array, Array, Array]:
  """Log-weights, means and 1 / scales, each `[..., NUM_LOGISTICS]`."""
  logits, mean, log_scale = jnp.split(parameters, 3, axis=-1)
  log_scale = jnp.clip(log_scale, -_MAX_LOG_SCALE, _MAX_LOG_SCALE)
  return jax.nn.log_softmax(logits), mean, jnp.exp(-log_scale)
