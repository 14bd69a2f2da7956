"""The distance d(x, x~) between data and reconstruction, per example.

Both are `-log p(x|z)` in nats, up to a constant: of N(x~, I), and of a
Bernoulli. They are summed over the features and never over the batch.
"""

import jax
import jax.numpy as jnp

from ae_jax.types import Array


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
  _check_same_shape(x, reconstruction)
  return 0.5 * _sum_features((x - reconstruction) ** 2)


def bernoulli_cross_entropy(x: Array, logits: Array) -> Array:
  """Bernoulli cross-entropy from logits l, in nats.

  `-x log s(l) - (1 - x) log(1 - s(l))
  = x log(1 + e^-l) + (1 - x) log(1 + e^l)`, s the sigmoid. Finite, with finite
  gradients, at any finite logit.

  Args:
    x: data `[batch, *features]` in [0, 1].
    logits: the shape of `x`.

  Returns:
    `[batch]`, summed over the features.

  Raises:
    ValueError: the shapes differ.
  """
  _check_same_shape(x, logits)
  return _sum_features(
    x * jax.nn.softplus(-logits) + (1 - x) * jax.nn.softplus(logits)
  )


def _check_same_shape(x: Array, reconstruction: Array) -> None:
  if x.shape != reconstruction.shape:
    raise ValueError(
      f"data {x.shape} and reconstruction {reconstruction.shape} differ in"
      " shape"
    )


def _sum_features(per_feature: Array) -> Array:
  return jnp.sum(per_feature, axis=tuple(range(1, per_feature.ndim)))
