"""Trained models of a run on disk."""

import os
from collections.abc import Collection
from pathlib import Path
from typing import Any

from ae_jax.lookup import Modules, OneModule, all_of
from ae_jax.metrics.selection import best_row
from ae_jax.run_folder import checkpoints, curves, results, run_config
from ae_jax.trained import Trained
from ae_jax.types import UsageError


def load(
  folder: str | os.PathLike[str],
  trial: str = "best",
  *,
  by: str | None = None,
  modules: Modules | OneModule = (),
  **where: Any,
) -> Trained:
  """Loads one trained trial of a run, or a model that was saved alone.

  `load("runs/digits-1a2b3c4d", objective="vae", latent_size=8)` is the best of
  the trials with these settings.

  Args:
    folder: of the run; or what `Trained.save` or `export` wrote, then the rest
      is left out.
    trial: an id of the run's table, or "best".
    by: the column that says which one is best: the largest value of a metric
      of which more is better (an accuracy, ...), else the least. By default
      the validation error; where there is no validation set, the test error.
    modules: where a network, likelihood or objective of a user may be taken
      from, if the model needs one: modules, their names (which are imported),
      or a dict of names and functions. Nothing else of a user is imported.
    **where: settings that the best one must have.

  Returns:
    The trial, ready to encode, decode, reconstruct and (a VAE) sample.

  Raises:
    UsageError: there is no such run, trial, column or setting; settings for
      a trial that is given by its id; or the model needs another module.
  """
  path, modules = Path(os.path.expanduser(folder)), all_of(modules)
  if (path / "spec.json").exists() and not (path / run_config.CONFIG).exists():
    from ae_jax import export  # here: it loads safetensors

    return Trained(**export.read(path, modules))
  run_config.read(path)  # or there is no run
  rows = results.read_rows(path)
  if not rows:
    raise UsageError(f"run {path} has no finished trial yet")
  if trial == "best":
    typed = [results.typed(row) for row in rows.values()]
    trial = best_row(typed, by, where)["id"]
  elif where:
    raise UsageError(
      f"trial {trial!r} is one trial; settings choose among those of a run:"
      " give the one or the other"
    )
  elif trial not in rows:
    raise UsageError(
      f"run {path} has no trial {trial!r}; it has {len(rows)}, the first of"
      f" them {', '.join([*rows][:3])}"
    )
  return load_trials(path, [trial], modules)[trial]


def finished(folder: Path) -> dict[str, results.TextRow]:
  """The rows, by id, of trials that are intact: row, curves, units, model."""
  intact = checkpoints.intact(folder)
  return {
    trial_id: row
    for trial_id, row in results.read_rows(folder).items()
    if trial_id in intact and curves.are_intact(folder, row)
  }


def load_trials(
  folder: Path, trial_ids: Collection[str], modules: Modules = ()
) -> dict[str, Trained]:
  """Loads several trials of a run, by id; see `load`."""
  rows = results.read_rows(folder)
  standardization = run_config.read_standardization(folder)
  data = run_config.read(folder)["data"]
  return {
    one.ids[0]: Trained.of(
      one,
      results.typed(rows[one.ids[0]]),
      standardization,
      tuple(data["range"]),
      data["bytes"],
    )
    for group in checkpoints.load_groups(folder, trial_ids, modules)
    for one in (group.select([i]) for i in range(len(group.ids)))
  }
