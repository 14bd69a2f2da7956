"""Walking over examples in blocks, so that memory does not grow with them."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp


def map_batches(
  function: Callable[[Any], Any], data: Any, batch_size_held: int = 256
) -> Any:
  """Applies a function of a batch to all examples, a block at a time.

  Args:
    function: of a tree of `[block, ...]` arrays, to a tree of such arrays;
      examples do not see each other.
    data: a tree of `[n, ...]` arrays.
    batch_size_held: examples held at once.

  Returns:
    What `function` gives, `[n, ...]`.
  """
  n = len(jax.tree.leaves(data)[0])
  size = min(batch_size_held, n)
  num_blocks = -(-n // size)

  def split(x: jax.Array) -> jax.Array:
    padding = [(0, num_blocks * size - n)] + [(0, 0)] * (x.ndim - 1)
    return jnp.pad(x, padding).reshape(num_blocks, size, *x.shape[1:])

  results = jax.lax.map(function, jax.tree.map(split, data))
  return jax.tree.map(
    lambda x: x.reshape(num_blocks * size, *x.shape[2:])[:n], results
  )
