"""Baselines of data with missing entries: iterative PCA, the mean."""

import dataclasses
import functools
from collections.abc import Callable, Collection
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ae_jax import iterative_pca
from ae_jax.metrics import imputation, pca_reconstruction
from ae_jax.metrics.columns import HIDDEN
from ae_jax.metrics.eval_data import EvalData
from ae_jax.metrics.evaluate import evaluate
from ae_jax.metrics.over_trials import Columns
from ae_jax.metrics.pca_autoencoders import pca_autoencoders
from ae_jax.pca import PCA
from ae_jax.types import Array

MAX_ROWS = 10_000  # that are fitted to
_OF_CODES = ("features", "neighbors", "anomaly")


def of_pca(
  data: EvalData,
  sizes: list[int],
  metric_groups: Collection[str],
  few: EvalData,
) -> dict[int, dict[str, float]]:
  """The columns of the iterative PCA of each size, without `pca_`.

  Codes are least squares of the entries that are there. What compares codes is
  measured on the data that a PCA completes: the codes are the same. The group
  "rate" is left out.

  Args:
    data: with missing entries.
    sizes: numbers of components.
    metric_groups: which ones.
    few: see `evaluate.evaluate`.
  """
  train = _flat(data.train)
  some = train[:: -(-len(train) // MAX_ROWS)]
  rank = min(len(some) - 1, train.shape[1])
  found = {}
  for i, size in enumerate(sizes):
    number = min(size, rank)
    fitted = iterative_pca.fit(some, number)
    columns = pca_reconstruction.columns(
      data,
      functools.partial(
        iterative_pca.reconstruct, fitted, num_components=number
      ),
    )
    spec, params, ranks = pca_autoencoders(fitted, data.train.shape[1:], sizes)
    measured = evaluate(
      spec,
      jax.tree.map(lambda p, i=i: p[i : i + 1], params),
      ranks[i : i + 1],
      completed(data, fitted, number),
      [name for name in _OF_CODES if name in metric_groups],
      few=completed(few, fitted, number),
    )
    columns |= {k: v[0] for k, v in measured.columns.items()}
    if "imputation" in metric_groups:
      columns |= _imputation(few, fitted, number)
    found[size] = {name: float(value) for name, value in columns.items()}
  return found


def completed(data: EvalData, fitted: PCA, number: int) -> EvalData:
  """Data without missing entries, by a PCA of a number of components."""
  return _filled(data, lambda x: iterative_pca.complete(fitted, x, number))


def mean_filled(data: EvalData) -> EvalData:
  """Data whose missing entries are the means of the train set."""
  means = np.nanmean(_flat(data.train), axis=0)
  return _filled(data, lambda x: np.where(np.isnan(x), means[None], x))


def of_mean(data: EvalData) -> Columns:
  """The columns of the group "imputation" of the train set's means."""
  means = jnp.nanmean(data.train, axis=0)[None]
  return _imputed(data, lambda seen: jnp.broadcast_to(means, seen.shape))


def _filled(
  data: EvalData, fill: Callable[[np.ndarray], np.ndarray]
) -> EvalData:
  def of(x: Any) -> Any:
    if x is None:
      return None
    return jnp.asarray(fill(_flat(x)).astype(np.float32).reshape(x.shape))

  return dataclasses.replace(
    data,
    train=of(data.train),
    held_out=of(data.held_out),
    anomalies=of(data.anomalies),
    missing=False,
  )


def _imputation(data: EvalData, fitted: PCA, number: int) -> Columns:
  return _imputed(
    data,
    lambda seen: jnp.asarray(
      iterative_pca.reconstruct(fitted, _flat(seen), number).reshape(seen.shape)
    ),
  )


def _imputed(data: EvalData, reconstruct: Callable[[Array], Array]) -> Columns:
  """The columns of what reconstructs data with missing entries."""
  columns: Columns = {}
  for share in HIDDEN:
    hidden = imputation.hidden_entries(data.held_out, share)
    again = reconstruct(jnp.where(hidden, jnp.nan, data.held_out))
    columns |= imputation.errors(data, share, hidden, again)
  return columns


def _flat(x: Any) -> np.ndarray:
  return np.asarray(x).reshape(len(x), -1)
