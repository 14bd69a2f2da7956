"""What a user should know of a finished run, from its rows and curves."""

from collections.abc import Iterable, Mapping

import numpy as np

from ae_jax.data import Dataset, value_range
from ae_jax.metrics import registry, selection
from ae_jax.over_seeds import Rows
from ae_jax.rows import groups_of, in_part_of

_FAR_BEHIND = 2.0  # times the error of PCA
_SILENT = 0.01  # nats a unit
_FALLING = 0.01  # of the loss, an epoch
_RANGES = {"share": (0.0, 1.0), "-1 ... 1": (-1.0, 1.0)}  # by unit
_ROUNDING = 1e-5

Histories = Mapping[str, Mapping[str, np.ndarray]]


def diagnostics(
  rows: Rows, histories: Histories, dataset: Dataset
) -> list[str]:
  """The warnings of a run, a line each.

  Args:
    rows: of its table, numbers or their texts.
    histories: id -> term of the loss -> `[num_epochs]`, of those rows.
    dataset: that it was trained on.
  """
  scale = ""
  if (
    dataset.standardization is None and max(map(abs, value_range(dataset))) > 1
  ):
    scale = ", or standardize the data (data.standardize=True)"
  ok = [row for row in rows if row["status"] == "ok"]
  found = (
    diverged(rows, scale),
    behind_pca(ok, scale),
    collapsed(ok),
    unconverged(ok, histories),
    out_of_range(ok),
    mixed(ok),
  )
  return [line for line in found if line is not None]


def diverged(rows: Rows, scale: str = "") -> str | None:
  """Tells that a loss, gradient or error stopped being finite."""
  number = sum(row["status"] != "ok" for row in rows)
  if not number:
    return None
  return (
    f"{number} of {len(rows)} trials diverged: lower learning_rate or"
    f" strength{scale}"
  )


def behind_pca(rows: Rows, scale: str = "") -> str | None:
  """Tells the latent sizes at which PCA has a lower error than every trial.

  Those at which it keeps all components, and has no error, are left out.
  """
  behind = []
  by = selection.criterion(rows)
  for size in sorted({int(row["latent_size"]) for row in rows}):
    own = [row for row in rows if int(row["latent_size"]) == size]
    best = selection.best(own, by)
    reference = None if best is None else selection.number(best, f"pca_{by}")
    error = None if best is None else selection.number(best, by)
    if reference is None or error is None:
      continue
    keeps_all = reference < _ROUNDING**2 * error  # its error is of rounding
    if error > reference and not keeps_all:
      behind.append((size, error, reference))
  if not behind:
    return None
  size, error, reference = max(behind, key=lambda at: at[1] / at[2])
  sizes = ", ".join(str(size) for size, *_ in behind)
  is_far = error > _FAR_BEHIND * reference
  return (
    f"PCA has a lower {by.partition('_')[0]} error than every trial at latent"
    f" size {sizes}"
    f" ({reference:.4g} against {error:.4g} at {size}): train longer, or with"
    f" another learning_rate{scale if is_far else ''}"
  )


def collapsed(rows: Rows) -> str | None:
  """Tells of Gaussian codes of which most units say nothing of x.

  A unit is active where the variance of its posterior mean is above 0.01;
  where that is not measured, all count as silent at a mean divergence below
  0.01 nats a unit.

  References:
    Burda, Grosse, Salakhutdinov, "Importance weighted autoencoders", 2016,
    section 5.2.
  """
  shares = []
  part = selection.criterion(rows).partition("_")[0]
  active_units = f"{part}_active_units"
  for row in rows:
    size = int(row["latent_size"])
    active, kl = (selection.number(row, name) for name in (active_units, "kl"))
    if active is None and kl is not None:
      active = 0.0 if kl < _SILENT * size else float(size)
    if active is not None:
      shares.append((active / size, active, row))
  few = [found for found in shares if found[0] < 0.5]
  if not few:
    return None
  _, active, row = min(few, key=lambda found: found[0])
  return (
    f"{len(few)} of {len(shares)} trials with a Gaussian code use less than"
    f" half of their units, {row['id']} ({row['objective']}) {active:g} of"
    f" {row['latent_size']}: a lower weight of the divergence keeps more"
  )


def unconverged(rows: Rows, histories: Histories) -> str | None:
  """Tells of losses that fall by over 1% an epoch, mean of the last five."""
  rates = [(_fall(histories[row["id"]]["loss"]), row["id"]) for row in rows]
  falling = [found for found in rates if found[0] > _FALLING]
  if not falling:
    return None
  rate, trial_id = max(falling)
  percent = f"{100 * rate:.2g}" if rate < 0.1 else f"{100 * rate:.0f}"
  return (
    f"{len(falling)} of {len(rows)} trials had not converged: the loss of"
    f" {trial_id} fell by {percent}% an epoch at the end; raise"
    " num_epochs"
  )


def out_of_range(rows: Rows) -> str | None:
  """Tells of a share that is not in [0, 1], as of a fault of its measure."""
  for row in rows:
    for name in row:
      metric = registry.column(name)
      value = selection.number(row, name)
      if metric is None or metric.unit not in _RANGES or value is None:
        continue
      low, high = _RANGES[metric.unit]
      if not low - _ROUNDING <= value <= high + _ROUNDING:
        return (
          f"{name} of {row['id']} is {value:.4g}, not in [{low:g}, {high:g}]:"
          " do not trust it"
        )
  return None


def mixed(rows: Rows) -> str | None:
  """Tells of metrics on all examples in some rows, on a part in others."""
  for group in dict.fromkeys(name for row in rows for name in groups_of(row)):
    measured = [row for row in rows if group in groups_of(row)]
    in_part = sum(group in in_part_of(row) for row in measured)
    if 0 < in_part < len(measured):
      return (
        f"{group.partition('@')[0]} is measured on a part of the examples in"
        f" {in_part} of {len(measured)} trials, on all in the others: measure"
        " them alike by `ae-jax evaluate RUN --on_all`"
      )
  return None


def _fall(loss: Iterable[float]) -> float:
  """How much a loss fell an epoch at the end.

  Relative to its last value, or to its whole fall where that is more: a
  log-density may pass 0.
  """
  values = np.asarray(loss, np.float64)
  values = values[np.isfinite(values)]  # no number once a trial has stopped
  num_epochs = min(5, len(values) // 2)
  if not num_epochs:
    return 0.0
  fall = (values[-1 - num_epochs] - values[-1]) / num_epochs
  whole = max(abs(values[-1]), values[0] - values[-1], 1e-30)
  return float(fall / whole)
