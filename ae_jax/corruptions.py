"""Corruptions q(x_noisy | x) of the input, for denoising autoencoders.

At level 0 each of them returns x.

References:
  Vincent et al., "Stacked Denoising Autoencoders", 2010, section 3.3.
"""

import jax
import jax.numpy as jnp

from ae_jax.types import Array, Key, Scalar


def gaussian(key: Key, x: Array, variance: Scalar) -> Array:
  """Additive Gaussian noise, `x + e, e ~ N(0, variance I)`.

  Args:
    key: consumed.
    x: data, any shape.
    variance: eta, at least 0 (a variance, not a standard deviation).

  Returns:
    The shape of `x`; not clipped to the range of the data.
  """
  return x + jnp.sqrt(variance) * jax.random.normal(key, x.shape, x.dtype)


def masking(key: Key, x: Array, probability: Scalar) -> Array:
  """Masking noise: each feature is set to 0 with the given probability.

  Args:
    key: consumed.
    x: data, any shape.
    probability: in [0, 1].

  Returns:
    The shape of `x`.
  """
  return jnp.where(_coins(key, probability, x), 0.0, x)


def salt_and_pepper(key: Key, x: Array, probability: Scalar) -> Array:
  """Salt-and-pepper noise: with the given probability, 0 or 1 by a fair coin.

  Args:
    key: consumed.
    x: data in [0, 1], any shape.
    probability: of a feature to be replaced, in [0, 1].

  Returns:
    The shape of `x`.
  """
  where_key, coin_key = jax.random.split(key)
  replaced = _coins(where_key, probability, x)
  return jnp.where(replaced, _coins(coin_key, 0.5, x).astype(x.dtype), x)


def _coins(key: Key, probability: Scalar, x: Array) -> Array:
  """A coin for each feature, drawn in the precision of the data."""
  return jax.random.bernoulli(key, jnp.asarray(probability, x.dtype), x.shape)


CORRUPTIONS = {
  "gaussian": gaussian,
  "masking": masking,
  "salt_and_pepper": salt_and_pepper,
}
