"""Numbers in [0, 1] as probabilities."""

import jax
import numpy as np

from ae_jax.declarations import Values, likelihood
from ae_jax.likelihoods.likelihood import check_same_shape, sum_features
from ae_jax.types import Array


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
  return sum_features(bernoulli(x, logits))


@likelihood(
  mean=jax.nn.sigmoid,
  support=(0.0, 1.0),
  kind="mass",
  values=Values("0 and 1", lambda x: np.isin(x, (0, 1)).all()),
  relaxed=True,
  formula="sigmoid(h)",
)
def bernoulli(x: Array, decoded: Array) -> Array:
  """Each feature of `bernoulli_cross_entropy`, `[batch, *features]`."""
  check_same_shape(x, decoded)
  softplus = jax.nn.softplus
  return x * softplus(-decoded) + (1 - x) * softplus(decoded)
