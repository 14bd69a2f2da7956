"""Trained models of a run on disk."""

import math
import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from ae_jax import checkpoints, ledger
from ae_jax.evaluation.measures import MEASURES
from ae_jax.networks import autoencoder
from ae_jax.trained import Trained
from ae_jax.types import UsageError


def load(
  run_dir: str | os.PathLike[str],
  trial: str = "best",
  *,
  by: str = "test_squared_error",
  **where: Any,
) -> Trained:
  """Loads one trained trial of a run.

  `load("runs/digits-1a2b3c4d", objective="vae", latent_size=8)` is the best of
  the trials with these settings.

  Args:
    run_dir: the workdir of the run.
    trial: an id of its table, or "best".
    by: the column that says which one is best: the largest value of a measure
      of which more is better (an accuracy, ...), else the least.
    **where: settings that the best one must have.

  Returns:
    The trial, ready to encode, decode, reconstruct and (a VAE) sample.

  Raises:
    UsageError: there is no such run, trial, column or setting.
  """
  workdir = Path(run_dir)
  ledger.read_config(workdir)
  rows = ledger.read_rows(workdir)
  if trial == "best":
    trial = best(rows.values(), by, where)
  elif trial not in rows:
    raise UsageError(
      f"run {workdir} has no trial {trial!r}; it has {len(rows)}, the first of"
      f" them {', '.join([*rows][:3])}"
    )
  return load_trials(workdir, [trial])[trial]


def load_trials(
  workdir: Path, trial_ids: Collection[str]
) -> dict[str, Trained]:
  """Loads several trials of a run, by id; see `load`."""
  rows = ledger.read_rows(workdir)
  standardization = ledger.read_standardization(workdir)
  return {
    trial_id: Trained(
      row=ledger.typed(rows[trial_id]),
      history=ledger.read_curves(workdir, trial_id),
      spec=spec,
      model=autoencoder(spec),
      params=params,
      standardization=standardization,
    )
    for trial_id, (spec, params) in checkpoints.load(workdir, trial_ids).items()
  }


def best(
  rows: Collection[ledger.TextRow], by: str, where: Mapping[str, Any]
) -> str:
  """The id of the best row by a column, among those with the given settings.

  Raises:
    UsageError: there is no such column or setting, or no such row.
  """
  columns = ledger.columns(rows)
  for name in (by, *where):
    if name not in columns:
      raise UsageError(
        f"the table has no column {name!r}; it has {', '.join(columns)}"
      )
  values = {
    row["id"]: value
    for row in map(ledger.typed, rows)
    if row["status"] == "ok"
    and all(str(row[name]) == str(value) for name, value in where.items())
    and isinstance(value := row[by], int | float)
    and math.isfinite(value)
  }
  if not values:
    settings = ", ".join(f"{name}={value}" for name, value in where.items())
    raise UsageError(
      f"no trial that ended well has a number in {by!r}"
      + (f" and the settings {settings}" if where else "")
    )
  more_is_better = by in MEASURES and MEASURES[by].better == "higher"
  return (max if more_is_better else min)(values, key=values.__getitem__)
