"""Examples as training takes them, and minibatches of them."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ae_jax import keys
from ae_jax.data.supervision import Pairs
from ae_jax.types import Array, Key, Labeled, Scalar

Data = Array | Labeled | Pairs


def binarized(key: Key, x: Array) -> Array:
  """Draws `Bernoulli(x)`."""
  return jax.random.bernoulli(key, x).astype(x.dtype)


def dequantized(key: Key, x: Array) -> Array:
  """Bytes as real numbers: `x + (u - 1/2) / 255`, u ~ U[0, 1) of each feature.

  Args:
    key: of the draw.
    x: bytes / 255, of any shape.

  Returns:
    Of that shape, in a bin of width 1 / 255 around x.

  References:
    Uria et al., "RNADE: The Real-valued Neural Autoregressive Density
    Estimator", 2013, section 5; Theis et al., "A Note on the Evaluation of
    Generative Models", 2016, section 3.1. With 256 there and a bin that begins
    at x; a bound on the probability of bytes does not depend on the unit.
  """
  return x + (jax.random.uniform(key, x.shape, x.dtype) - 0.5) / 255


# What a step may do to its examples, by the name of the option of the data.
DRAWS = {"binarize": binarized, "dequantize": dequantized}


def examples_of(data: Data | np.ndarray) -> Any:
  """The examples alone."""
  return data.x if isinstance(data, Labeled | Pairs) else data


def minibatch(
  data: Data, rows: Array, key: Key, step: Scalar
) -> Array | Labeled:
  """Examples `[batch, *features]`, `Labeled`, or pairs `[batch, 2, *features]`.

  Args:
    data: to choose from.
    rows: `[batch]`.
    key: of a trial, not consumed.
    step: draws with the key the partners of pairs.
  """
  if not isinstance(data, Pairs):
    return jax.tree.map(lambda field: field[rows], data)
  key = jax.random.fold_in(jax.random.fold_in(key, keys.PAIR), step)
  column = jax.random.randint(key, rows.shape, 0, data.partners.shape[1])
  others = data.partners[rows, column]
  return jnp.stack([data.x[rows], data.x[others]], axis=1)
