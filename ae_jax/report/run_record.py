"""What is on disk of a run, as far as its page shows it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ae_jax.data import Dataset
from ae_jax.lookup import Modules
from ae_jax.metrics import selection
from ae_jax.report import ranking, trials
from ae_jax.report.trials import TextRows
from ae_jax.run_folder import curves
from ae_jax.run_folder.results import TextRow


class RunRecord(NamedTuple):
  """What is on disk of a run.

  Attributes:
    rows: of its table, as text.
    histories: id -> term -> `[num_epochs]`.
    units: id -> name -> `[latent]`, of the best trials.
    config: of `config.json`.
    best: the best row of each objective.
    by: the metric that says which is best.
    modules: where functions of a user may be taken from.
  """

  rows: TextRows
  histories: Mapping[str, Mapping[str, np.ndarray]]
  units: Mapping[str, Mapping[str, np.ndarray]]
  config: Mapping[str, Any]
  best: list[TextRow]
  by: str
  modules: Modules


def read(
  folder: Path, dataset: Dataset, by: str | None, modules: Modules
) -> RunRecord:
  """Reads what is on disk of a run, and picks the best trials.

  Raises:
    UsageError: there is no run, no finished trial or no such metric.
  """
  rows, config, by = trials.read(folder, by)
  rows = ranking.ranked(folder, rows, dataset, modules)
  best = [selection.best(own, by) for own in trials.by_objective(rows).values()]
  found = [row for row in best if row is not None]
  return RunRecord(
    rows=rows,
    histories={
      row["id"]: curves.read_curves(folder, row["id"]) for row in rows
    },
    units={row["id"]: curves.read_units(folder, row["id"]) for row in found},
    config=config,
    best=found,
    by=by,
    modules=modules,
  )
