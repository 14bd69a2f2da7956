"""Functions of examples applied in batches, in bounded memory."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np


def evenly_spaced(num_examples: int, most: int) -> np.ndarray:
  """Rows from all over the examples, which may be sorted by class.

  Args:
    num_examples: that there are.
    most: how many rows at most.
  """
  number = min(num_examples, most)
  return np.linspace(0, num_examples - 1, number).astype(int)


def map_batches(
  function: Callable[[Any], Any], data: Any, batch_size: int = 256
) -> Any:
  """Applies a function of a batch to all examples, batch by batch.

  Args:
    function: takes a tree of `[batch, ...]` arrays and returns such a tree;
      examples do not depend on each other.
    data: a tree of `[n, ...]` arrays.
    batch_size: examples in memory at once.

  Returns:
    What `function` gives, `[n, ...]`.
  """
  # jax.lax.map(batch_size=) compiles the function again for the last batch.
  n = len(jax.tree.leaves(data)[0])
  size = min(batch_size, n)
  num_batches = -(-n // size)

  def split(x: jax.Array) -> jax.Array:
    padding = [(0, num_batches * size - n)] + [(0, 0)] * (x.ndim - 1)
    return jnp.pad(x, padding).reshape(num_batches, size, *x.shape[1:])

  results = jax.lax.map(function, jax.tree.map(split, data))
  return jax.tree.map(
    lambda x: x.reshape(num_batches * size, *x.shape[2:])[:n], results
  )
