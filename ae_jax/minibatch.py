"""Examples as training takes them, and minibatches of them."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ae_jax import keys
from ae_jax.data.supervision import Pairs
from ae_jax.types import Array, Key, Labeled, Scalar

Data = Array | Labeled | Pairs


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
