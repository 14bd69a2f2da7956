"""The order in which an epoch takes the examples: drawn from a trial's key."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from ae_jax import keys
from ae_jax.types import Array, Key, Scalar


def epoch_order(
  key: Key, epoch: Scalar, num_examples: int, batch_size: int
) -> Array | np.ndarray:
  """The minibatches of one epoch, a random order drawn from the trial's key.

  Args:
    key: of the trial, not consumed.
    epoch: from 0.
    num_examples: to choose from.
    batch_size: examples per step; all of them if there are fewer.

  Returns:
    Indices `[steps, batch]`, none twice; a last batch that is not full is left
    out. A NumPy array unless the key or the epoch is traced.
  """
  size, num_steps = batching(num_examples, batch_size)
  order = order_of(_order_bits(key, epoch, num_examples))
  return order[: num_steps * size].reshape(num_steps, size)


@functools.partial(jax.jit, static_argnums=2)
def _order_bits(key: Key, epoch: Scalar, num_examples: int) -> Array:
  order_key = jax.random.fold_in(jax.random.fold_in(key, keys.ORDER), epoch)
  return jax.random.bits(order_key, (num_examples,), jnp.uint32)


def order_of(bits: Array) -> Array | np.ndarray:
  """A stable argsort, int32, of `[n]` uint32: the same traced and on the host.

  On the host NumPy sorts the bits with the index below them, which takes a
  fortieth of the time of XLA's stable sort on a CPU.
  """
  if isinstance(bits, jax.core.Tracer):
    return jnp.argsort(bits, stable=True)
  keys = np.asarray(bits).astype(np.uint64) << np.uint64(32)
  keys |= np.arange(len(keys), dtype=np.uint64)
  keys.sort()
  return keys.astype(np.uint32).view(np.int32)


def batching(num_examples: int, batch_size: int) -> tuple[int, int]:
  """The size of a batch and the number of them in an epoch."""
  size = min(batch_size, num_examples)
  return size, num_examples // size
