"""PCA and the data themselves, measured as autoencoders are."""

import functools
from collections.abc import Iterable

import numpy as np

from ae_jax import pca
from ae_jax.data import to_float
from ae_jax.metrics import (
  anomaly,
  features,
  incomplete,
  neighbors,
  pca_reconstruction,
)
from ae_jax.metrics.codes import compare_with_classes
from ae_jax.metrics.columns import PCA_GROUPS
from ae_jax.metrics.eval_data import EvalData
from ae_jax.metrics.evaluate import evaluate
from ae_jax.metrics.over_trials import Columns
from ae_jax.metrics.pca_autoencoders import pca_autoencoders

Baselines = dict[int, dict[str, float]]  # latent size -> column -> value

_OF_CODES = {"features": features.compare, "neighbors": neighbors.compare}


def baselines(
  data: EvalData,
  latent_sizes: Iterable[int],
  metric_groups: Iterable[str],
  few: EvalData | None = None,
) -> Baselines:
  """The columns of `columns.BASELINES`.

  Args:
    data: to measure on.
    latent_sizes: of the trials.
    metric_groups: of PCA only those in `PCA_GROUPS` are measured, of the data
      themselves only "features" and "neighbors". Where entries are missing PCA
      is iterative, and the train set's means are filled in for the others.
    few: see `evaluate.evaluate`.

  Returns:
    latent size -> column -> value.
  """
  sizes, metric_groups = sorted({*latent_sizes}), [*metric_groups]
  few = data if few is None else few
  others = {}
  if data.missing:
    of_pca = incomplete.of_pca(data, sizes, metric_groups, few)
    if "imputation" in metric_groups:
      others = _named("train_mean", incomplete.of_mean(few))
    few, data = map(incomplete.mean_filled, (few, data))
  else:
    of_pca = _of_pca(data, sizes, metric_groups, few)
  pixels = _of_pixels(few, metric_groups)
  others |= _named("pixels", {k: v[0] for k, v in pixels.items()})
  if "anomaly" in metric_groups:
    others |= _named("isolation_forest", anomaly.isolation_forest(data))
  return {size: _named("pca", of_pca[size]) | others for size in sizes}


def _named(prefix: str, columns: Columns) -> dict[str, float]:
  return {f"{prefix}_{name}": float(v) for name, v in columns.items()}


def _of_pca(
  data: EvalData, sizes: list[int], metric_groups: list[str], few: EvalData
) -> dict[int, Columns]:
  """The columns of the PCA of each size, without `pca_`."""
  fitted = pca.fit(
    np.asarray(to_float(data.train)).reshape(len(data.train), -1)
  )
  spec, params, ranks = pca_autoencoders(fitted, data.train.shape[1:], sizes)
  groups = [g for g in metric_groups if g in PCA_GROUPS]
  if "reconstruction" in groups:
    groups.remove("reconstruction")
  measured = evaluate(spec, params, ranks, data, groups, few=few)
  return {
    size: {k: v[i] for k, v in measured.columns.items()}
    | pca_reconstruction.columns(
      data, functools.partial(_reconstruct, fitted, size)
    )
    for i, size in enumerate(sizes)
  }


def _reconstruct(fitted: pca.PCA, size: int, x: np.ndarray) -> np.ndarray:
  return pca.inverse(fitted, pca.transform(fitted, x, size))


def _of_pixels(data: EvalData, metric_groups: list[str]) -> Columns:
  train, held_out = (
    to_float(part).reshape(1, len(part), -1)
    for part in (data.train, data.held_out)
  )
  columns: Columns = {}
  for name, compare in _OF_CODES.items():
    if name in metric_groups:
      columns |= compare_with_classes(compare, train, held_out, data)
  return columns
