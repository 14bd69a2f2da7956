"""PCA and the data themselves, measured as autoencoders are."""

from collections.abc import Iterable

import jax
import numpy as np

from ae_jax import pca
from ae_jax.data import to_float
from ae_jax.metrics import anomaly, features, neighbors
from ae_jax.metrics.codes import compare_with_classes
from ae_jax.metrics.eval_data import EvalData
from ae_jax.metrics.evaluate import evaluate
from ae_jax.metrics.over_trials import Columns
from ae_jax.metrics.registry import PCA_GROUPS
from ae_jax.networks import Spec
from ae_jax.types import Params

Baselines = dict[int, dict[str, float]]  # latent size -> column -> value

_OF_CODES = {"features": features.compare, "neighbors": neighbors.compare}


def baselines(
  data: EvalData, latent_sizes: Iterable[int], metric_groups: Iterable[str]
) -> Baselines:
  """The columns `pca_...`, `pixels_...` and `isolation_forest_...`.

  Args:
    data: to measure on.
    latent_sizes: of the trials.
    metric_groups: of PCA only those in `PCA_GROUPS` are measured, of the data
      themselves only "features" and "neighbors".

  Returns:
    latent size -> column -> value.
  """
  sizes, metric_groups = sorted({*latent_sizes}), [*metric_groups]
  train = np.asarray(to_float(data.train)).reshape(len(data.train), -1)
  held_out = np.asarray(to_float(data.held_out)).reshape(-1, train.shape[1])
  fitted = pca.fit(train)
  spec, params, ranks = pca_autoencoders(fitted, data.train.shape[1:], sizes)
  measured = evaluate(
    spec, params, ranks, data, [g for g in metric_groups if g in PCA_GROUPS]
  )
  exact = {  # in float64
    "train": pca.squared_errors(fitted, train),
    **{
      part: pca.squared_errors(fitted, held_out[rows])
      for part, rows in data.parts.items()
    },
  }
  pixels = {
    f"pixels_{name}": float(value[0])
    for name, value in _of_pixels(data, metric_groups).items()
  }
  if "anomaly" in metric_groups:
    pixels |= {
      f"isolation_forest_{name}": float(value)
      for name, value in anomaly.isolation_forest(data).items()
    }
  return {
    size: {
      **{f"pca_{k}": float(v[i]) for k, v in measured.columns.items()},
      **{
        f"pca_{k}_squared_error": float(v[ranks[i]]) for k, v in exact.items()
      },
      **pixels,
    }
    for i, size in enumerate(sizes)
  }


def pca_autoencoders(
  fitted: pca.PCA, features: tuple[int, ...], latent_sizes: Iterable[int]
) -> tuple[Spec, Params, list[int]]:
  """PCAs as linear autoencoders, `f(x) = V (x - mean)`, `g(z) = V^T z + mean`.

  Args:
    fitted: PCA of the train data.
    features: shape of an example.
    latent_sizes: numbers of components; more than there are count as all.

  Returns:
    Their spec, padded to the largest; parameters `[sizes, ...]`; and the
    number of components of each.
  """
  ranks = [min(size, len(fitted.components)) for size in latent_sizes]
  largest = max(ranks)
  kept = np.arange(largest)[None] < np.array(ranks)[:, None]  # [sizes, r]
  rows = fitted.components[None, :largest] * kept[..., None]
  params = {
    "encoder": {
      "code": {"kernel": rows.swapaxes(1, 2), "bias": -rows @ fitted.mean}
    },
    "decoder": {
      "latent": {
        "kernel": rows,
        "bias": np.broadcast_to(fitted.mean, (len(ranks), len(fitted.mean))),
      }
    },
  }
  return (
    Spec(features, largest, widths=()),
    jax.tree.map(lambda p: p.astype(np.float32), params),
    ranks,
  )


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
