"""Codes of all trials, and how they are compared with the classes of data."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ae_jax.data import to_float
from ae_jax.metrics import reconstruction
from ae_jax.metrics.batching import map_batches
from ae_jax.metrics.eval_data import EvalData
from ae_jax.metrics.over_trials import (
  Columns,
  Units,
  devices_for,
  on_devices,
  over_trials,
)
from ae_jax.networks import Spec, given
from ae_jax.sharding import shard_over_trials
from ae_jax.types import Array, Autoencoder, Params

MAX_TRIALS = 8  # measured at once
_SMALL = 2000  # examples
_MOST_PADDED = 4  # times as many units, of more examples
# (train codes `[n, latent]`, held-out codes `[m, latent]`, data with classes)
# -> name -> `[m]`, of each held-out example.
Comparison = Callable[[Array, Array, EvalData], Columns]


def encode(
  model: Autoencoder,
  params: Params,
  data: Array,
  label: Array | None = None,
) -> Array:
  """Codes of data `[n, *features]`, float32 or uint8: `[n, latent]`.

  Args:
    model: the autoencoder.
    params: of the model.
    data: `[n, *features]`.
    label: `[n]`, see `networks.given`; or None.
  """

  def of_block(block: tuple[Array, Array | None]) -> Array:
    x, label = block
    return reconstruction.codes(given(model, label), params, to_float(x))

  return map_batches(of_block, (data, label))


@over_trials
def train_and_held_out_codes(
  model: Autoencoder, params: Params, data: EvalData
) -> tuple[Array, Array]:
  """Codes of the train and of the held-out set, `[trials, n, latent]` each."""
  return (
    encode(model, params, data.train, data.train_label),
    encode(model, params, data.held_out, data.held_out_label),
  )


@over_trials
def _codes_without_class(
  model: Autoencoder, params: Params, data: EvalData
) -> tuple[Array, Array]:
  """The same of a conditional model that is told no class."""
  train, held_out = (
    encode(model, params, x, jnp.full(len(x), -1))
    for x in (data.train, data.held_out)
  )
  return train, held_out


def with_classes(
  comparison: Comparison,
  spec: Spec,
  params: Params,
  latent_sizes: Array,
  data: EvalData,
) -> tuple[Columns, Units]:
  """A metric group that compares codes with classes, if there are classes.

  Codes that are to tell a class are made without it.
  """
  if not data.num_classes:
    return {}, {}
  is_told = spec.declaration.condition is not None
  codes = _codes_without_class if is_told else train_and_held_out_codes
  train, held_out = codes(spec, params, latent_sizes, data)
  return compare_with_classes(comparison, train, held_out, data), {}


def compare_with_classes(
  comparison: Comparison, train: Array, held_out: Array, data: EvalData
) -> Columns:
  """Measures codes by the classes of their examples.

  Args:
    comparison: of the codes of one trial with the classes.
    train: codes of the train set, `[trials, n, latent]`.
    held_out: codes of the held-out set, `[trials, m, latent]`.
    data: has the classes.

  Returns:
    The columns; none where there are no classes.
  """
  if not data.num_classes:
    return {}
  num_trials = len(train)
  padded = [_padded(z, data) for z in (train, held_out)]
  num_devices = devices_for(len(padded[0]))
  compiled = _compiled(comparison, num_devices)
  with jax.default_matmul_precision("highest"):
    columns = compiled(*padded, on_devices(data, num_devices))
  return {name: np.asarray(v)[:num_trials] for name, v in columns.items()}


def _padded(codes: Any, data: EvalData) -> np.ndarray:
  """Codes `[trials, n, latent]` in a shape that others have too.

  Units of zeros change no comparison; of few examples a program for more trials
  takes less time to run than another one to compile.
  """
  codes = np.asarray(codes)
  num_trials, _, latent = codes.shape
  is_small = len(data.train) <= _SMALL
  most = data.code_size if is_small else _MOST_PADDED * latent
  if not latent <= data.code_size <= most:
    return codes
  trials = max(MAX_TRIALS - num_trials, 0) if is_small else 0
  codes = np.pad(codes, ((0, 0), (0, 0), (0, data.code_size - latent)))
  return np.pad(codes, ((0, trials), (0, 0), (0, 0)), mode="edge")


@functools.cache
def _compiled(
  comparison: Comparison, num_devices: int
) -> Callable[..., Columns]:
  def of_trials(train: Array, held_out: Array, data: EvalData) -> Columns:
    def of_trial(train: Array, held_out: Array) -> Columns:
      columns = data.means(comparison(train, held_out, data))
      return nan_unless_finite((train, held_out), columns)

    return jax.vmap(of_trial)(train, held_out)

  return shard_over_trials(of_trials, num_devices, 2, 1)


def nan_unless_finite(codes: Any, columns: Columns) -> Columns:
  """The columns, or NaN where the codes or their squares are not finite.

  A comparison with NaN is false, an argmax of it is some index: without this a
  broken model would have an accuracy.
  """
  finite = jnp.isfinite(sum(jnp.sum(z**2) for z in jax.tree.leaves(codes)))
  return {k: jnp.where(finite, v, jnp.nan) for k, v in columns.items()}
