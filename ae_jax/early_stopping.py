"""The best epoch of a trial by its validation loss, and when to stop.

References:
  Prechelt, "Early Stopping - But When?", 1998: the criterion UP with strips of
  one epoch.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from ae_jax import keys
from ae_jax.minibatch import Data, examples_of, minibatch
from ae_jax.types import Array, Key, Params


class EarlyStopping(NamedTuple):
  """Which epochs count, as `Trainer` takes it.

  Attributes:
    patience: a trial stops after so many epochs without a smaller validation
      loss; 0: never.
    keep_best: whether the parameters of the best epoch are kept, not those of
      the last.
  """

  patience: int = 0
  keep_best: bool = False


class BestEpoch(NamedTuple):
  """What a trial carries.

  Attributes:
    num_epochs: that were judged.
    epoch: of the least validation loss, from 1; 0 before the first.
    loss: that loss; infinite before the first epoch.
    stopped: the epoch after which the trial stopped, from 1; 0: it has not.
    params: after the best epoch; `{}` where they are not kept.
  """

  num_epochs: Array
  epoch: Array
  loss: Array
  stopped: Array
  params: Params


def start(params: Params, keep: bool) -> BestEpoch:
  """Before the first epoch."""
  zero = jnp.zeros((), jnp.int32)
  best = jnp.full((), jnp.inf, jnp.float32)
  return BestEpoch(zero, zero, best, zero, params if keep else {})


def after_epoch(
  best: BestEpoch, params: Params, loss: Array, patience: int
) -> BestEpoch:
  """What is carried on from an epoch.

  Args:
    best: before it.
    params: after it.
    loss: on the validation set; one that is not finite is no better.
    patience: see `EarlyStopping`.
  """
  runs = best.stopped == 0
  better = runs & (loss < best.loss)
  num_epochs = best.num_epochs + 1
  epoch = jnp.where(better, num_epochs, best.epoch)
  stops = runs & (patience > 0) & (num_epochs - epoch >= patience)
  return BestEpoch(
    num_epochs,
    epoch,
    loss=jnp.where(better, loss, best.loss),
    stopped=jnp.where(stops, num_epochs, best.stopped),
    params=best.params
    and jax.tree.map(
      lambda new, old: jnp.where(better, new, old), params, best.params
    ),
  )


def kept(best: BestEpoch | None, params: Params) -> Params:
  """The parameters that a trial ends with."""
  if best is None or not best.params:
    return params
  return jax.tree.map(
    lambda b, p: jnp.where(best.epoch > 0, b, p), best.params, params
  )


def validation_loss(
  loss: Callable[[Key, Any], Array], key: Key, data: Data, batch_size: int
) -> Array:
  """The loss of a model on validation data, with the same noise each time.

  Args:
    loss: (key, batch) -> a scalar.
    key: of the trial, not consumed.
    data: taken in as few batches of equal size as `batch_size` allows; fewer
      examples than there are batches are left over.
    batch_size: of training.

  Returns:
    The mean over the batches.
  """
  num_examples = len(examples_of(data))
  number = -(-num_examples // batch_size)
  size = num_examples // number
  examples = jax.tree.map(jnp.asarray, data)
  key, pair_key = jax.random.split(jax.random.fold_in(key, keys.VALIDATION))

  def of_batch(index: Array) -> Array:
    rows = index * size + jnp.arange(size)
    batch = minibatch(examples, rows, pair_key, index)
    return loss(jax.random.fold_in(key, index), batch)

  return jnp.mean(jax.lax.map(of_batch, jnp.arange(number)))
