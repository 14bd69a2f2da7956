"""Codes of all trials, and how they are compared with the classes of data."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

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
from ae_jax.networks import Spec
from ae_jax.sharding import shard_over_trials
from ae_jax.types import Array, Autoencoder, Params

# (train codes `[n, latent]`, their classes `[n]`, test codes `[m, latent]`,
# their classes `[m]`, num_classes) -> columns.
Comparison = Callable[[Array, Array, Array, Array, int], Columns]


def encode(model: Autoencoder, params: Params, data: Array) -> Array:
  """Codes of data `[n, *features]`, float32 or uint8: `[n, latent]`."""
  return map_batches(
    lambda x: reconstruction.codes(model, params, to_float(x)), data
  )


@over_trials
def train_and_test_codes(
  model: Autoencoder, params: Params, data: EvalData
) -> tuple[Array, Array]:
  """Codes of the train and of the test set, `[trials, n, latent]` each."""
  return encode(model, params, data.train), encode(model, params, data.test)


def with_classes(
  comparison: Comparison,
  spec: Spec,
  params: Params,
  latent_sizes: Array,
  data: EvalData,
) -> tuple[Columns, Units]:
  """A metric group that compares codes with classes, if there are classes."""
  if not data.num_classes:
    return {}, {}
  train, test = train_and_test_codes(spec, params, latent_sizes, data)
  return compare_with_classes(comparison, train, test, data), {}


def compare_with_classes(
  comparison: Comparison, train: Array, test: Array, data: EvalData
) -> Columns:
  """Measures codes by the classes of their examples.

  Args:
    comparison: of the codes of one trial with the classes.
    train: codes of the train set, `[trials, n, latent]`.
    test: codes of the test set, `[trials, m, latent]`.
    data: has the classes.

  Returns:
    The columns; none where there are no classes.
  """
  if not data.num_classes:
    return {}
  num_devices = devices_for(len(train))
  compiled = _compiled(comparison, num_devices)
  with jax.default_matmul_precision("highest"):
    return compiled(train, test, on_devices(data, num_devices))


@functools.cache
def _compiled(
  comparison: Comparison, num_devices: int
) -> Callable[..., Columns]:
  def of_trials(train: Array, test: Array, data: EvalData) -> Columns:
    def of_trial(train: Array, test: Array) -> Columns:
      assert data.train_classes is not None
      assert data.test_classes is not None
      columns = comparison(
        train, data.train_classes, test, data.test_classes, data.num_classes
      )
      return nan_unless_finite((train, test), columns)

    return jax.vmap(of_trial)(train, test)

  return shard_over_trials(of_trials, num_devices, 2, 1)


def nan_unless_finite(codes: Any, columns: Columns) -> Columns:
  """The columns, or NaN where the codes or their squares are not finite.

  A comparison with NaN is false, an argmax of it is some index: without this a
  broken model would have an accuracy.
  """
  finite = jnp.isfinite(sum(jnp.sum(z**2) for z in jax.tree.leaves(codes)))
  return {k: jnp.where(finite, v, jnp.nan) for k, v in columns.items()}
