"""Trained models of a run on disk."""

import difflib
import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from ae_jax.networks import autoencoder
from ae_jax.run_folder import checkpoints, curves, results, run_config
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
    by: the column that says which one is best: the largest value of a metric
      of which more is better (an accuracy, ...), else the least.
    **where: settings that the best one must have.

  Returns:
    The trial, ready to encode, decode, reconstruct and (a VAE) sample.

  Raises:
    UsageError: there is no such run, trial, column or setting; or settings for
      a trial that is given by its id.
  """
  workdir = Path(run_dir)
  run_config.read_config(workdir)  # or there is no run
  rows = results.read_rows(workdir)
  if not rows:
    raise UsageError(f"run {workdir} has no finished trial yet")
  if trial == "best":
    trial = _best(rows.values(), by, where)
  elif where:
    raise UsageError(
      f"trial {trial!r} is one trial; settings choose among those of a run:"
      " give the one or the other"
    )
  elif trial not in rows:
    raise UsageError(
      f"run {workdir} has no trial {trial!r}; it has {len(rows)}, the first of"
      f" them {', '.join([*rows][:3])}"
    )
  return load_trials(workdir, [trial])[trial]


def finished(workdir: Path) -> dict[str, results.TextRow]:
  """The rows, by id, of trials that are whole: row, curves, units, model."""
  whole = checkpoints.whole(workdir) & results.whole_series(workdir)
  rows = results.read_rows(workdir)
  return {trial_id: row for trial_id, row in rows.items() if trial_id in whole}


def load_trials(
  workdir: Path, trial_ids: Collection[str]
) -> dict[str, Trained]:
  """Loads several trials of a run, by id; see `load`."""
  rows = results.read_rows(workdir)
  standardization = run_config.read_standardization(workdir)
  config = run_config.read_config(workdir)
  return {
    trial_id: Trained(
      row=results.typed(rows[trial_id]),
      history=curves.read_curves(workdir, trial_id),
      spec=spec,
      model=autoencoder(spec),
      params=params,
      standardization=standardization,
      data_range=tuple(config["data_range"]),
      bytes=config["data_bytes"],
    )
    for trial_id, (spec, params) in checkpoints.load(workdir, trial_ids).items()
  }


def _best(
  rows: Collection[results.TextRow], by: str, where: Mapping[str, Any]
) -> str:
  """The id of the best row by a column, among those with the given settings.

  Raises:
    UsageError: there is no such column or setting, or no such row.
  """
  columns = results.columns(rows)
  for name in (by, *where):
    if name not in columns:
      close = difflib.get_close_matches(name, columns, n=1, cutoff=0.7)
      hint = f"did you mean {close[0]}? " if close else ""
      raise UsageError(
        f"the table has no column {name!r}; {hint}it has"
        f" {_listed(columns, most=24)}"
      )
  fitting = [*rows]
  for name, value in where.items():
    values = [results.typed(row)[name] for row in fitting]
    fitting = [
      row for row, own in zip(fitting, values, strict=True) if _same(own, value)
    ]
    if not fitting:
      raise UsageError(
        f"no such trial has {name}={value}; the values are {_listed(values)}"
      )
  found = results.best(fitting, by)
  if found is None:
    raise UsageError(
      f"none of {len(fitting)} trials has a number in {by!r}, or all diverged"
    )
  return found["id"]


def _same(stored: Any, given: Any) -> bool:
  """Whether a setting of the table is the one that was asked for."""
  if isinstance(stored, tuple):
    given = tuple(given) if isinstance(given, list | tuple) else (given,)
  return stored == given or str(stored) == str(given)


def _listed(values: Collection[Any], most: int = 8) -> str:
  texts = [*dict.fromkeys(map(str, values))]
  return ", ".join(texts[:most]) + (", ..." if len(texts) > most else "")
