"""All metrics of trials of one shape, jitted and vmapped over the trials."""

import time
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ae_jax.metrics import (
  activity,
  anomaly,
  disentanglement,
  features,
  imputation,
  likelihood,
  neighbors,
  noise,
  own,
  rate,
  reconstruction,
)
from ae_jax.metrics.codes import MAX_TRIALS
from ae_jax.metrics.columns import ON_ALL
from ae_jax.metrics.eval_data import EvalData
from ae_jax.metrics.over_trials import Columns, Units
from ae_jax.metrics.registry import available_groups
from ae_jax.networks import Spec
from ae_jax.types import Array, Params

_MAX_NUMBERS = 1 << 28  # of codes in memory at once

OnMeasured = Callable[[str, int], None]
Measure = Callable[[Spec, Params, Array, EvalData], tuple[Columns, Units]]

_MEASURES: dict[str, Measure] = {  # of each of columns.GROUPS
  "reconstruction": reconstruction.measure,
  "features": features.measure,
  "neighbors": neighbors.measure,
  "activity": activity.measure,
  "noise": noise.measure,
  "imputation": imputation.measure,
  "likelihood": likelihood.measure,
  "rate": rate.measure,
  "anomaly": anomaly.measure,
  "disentanglement": disentanglement.measure,
}


class Measured(NamedTuple):
  """Metrics of some trials.

  Attributes:
    columns: name -> `[trials]`, as `columns.METRICS` declares them.
    units: name -> `[trials, latent]`, of each code unit: `mean`, `std`,
      `active_share`; `singular_value` of the encoder's Jacobian, by falling
      size (NaN beyond the number of features); of a Gaussian code `kl`.
    seconds: metric group -> what it took.
  """

  columns: Columns
  units: Units
  seconds: dict[str, float]


def evaluate(
  spec: Spec,
  params: Params,
  latent_sizes: Sequence[int],
  data: EvalData,
  metric_groups: Iterable[str] | None = None,
  on_measured: OnMeasured | None = None,
  few: EvalData | None = None,
) -> Measured:
  """Measures trials of one shape.

  Args:
    spec: of their networks, padded to the largest latent size.
    params: `[trials, ...]`, padded.
    latent_sizes: of each trial.
    data: to measure on.
    metric_groups: names in `columns.GROUPS`, by default the available ones;
      metrics that the data or the code do not allow are left out.
    on_measured: called with a metric group and the number of trials that have
      been measured by it since the last call.
    few: what the groups that are not in `columns.ON_ALL` are measured on; None
      takes all data, see `subset.subset`.

  Returns:
    The metrics.
  """
  num_trials = len(latent_sizes)
  num_codes = (len(data.train) + len(data.held_out)) * max(
    spec.latent_size, data.code_size, data.num_classes
  )
  size = max(min(MAX_TRIALS, num_trials, _MAX_NUMBERS // num_codes), 1)
  names = available_groups() if metric_groups is None else metric_groups
  parts, seconds = [], dict.fromkeys(names, 0.0)
  for start in range(0, num_trials, size):
    # The last trial is repeated to fill the last block: one compilation.
    index = np.minimum(np.arange(start, start + size), num_trials - 1)
    some = jax.tree.map(lambda p, i=index: p[i], params)
    sizes = jnp.asarray(latent_sizes)[index]
    columns: Columns = {}
    units: Units = {}
    for name in seconds:
      begin = time.perf_counter()
      with jax.default_matmul_precision("highest"):
        seen = data if few is None or name in ON_ALL else few
        measured = _measure(name)(spec, some, sizes, seen)
      measured = jax.tree.map(np.asarray, measured)
      columns |= measured[0]
      units |= {k: _padded(v, spec) for k, v in measured[1].items()}
      seconds[name] += time.perf_counter() - begin
      if on_measured is not None:
        on_measured(name, min(size, num_trials - start))
    parts.append((columns, units))
  columns, units = jax.tree.map(
    lambda *x: np.concatenate(x)[:num_trials], *parts
  )
  return Measured(columns, units, seconds)


def _measure(name: str) -> Measure:
  """The function of a metric group, of a user too."""
  return _MEASURES.get(name) or own.measure(name)


def _padded(values: np.ndarray, spec: Spec) -> np.ndarray:
  """Pads `[trials, units]` with NaN to `[trials, latent]`."""
  padding = ((0, 0), (0, spec.latent_size - values.shape[1]))
  return np.pad(values, padding, constant_values=np.nan)
