"""The rows of the table: settings, terms of the loss, metrics of each trial."""

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

from ae_jax.engine.training_loop import TrainedGroup
from ae_jax.metrics.baselines import Baselines
from ae_jax.metrics.columns import METRICS, ON_ALL
from ae_jax.metrics.evaluate import Measured
from ae_jax.metrics.registry import OWN_GROUPS

Row = dict[str, Any]

METRIC_GROUPS = "metric_groups"  # the column that names what was measured
# That of those that were measured on a part of the examples; left out where
# there are none.
IN_PART = "metric_groups_in_part"
_LAST = ("seconds", "evaluation_seconds", METRIC_GROUPS, IN_PART)


def trial_rows(trained: TrainedGroup) -> list[Row]:
  """What is known of trained trials before they are measured.

  Columns: `id`; `status`, "ok" or "diverged"; `diverged_step`, from 0 (None
  where it is ok); every setting; every term of the loss, mean over the epoch
  after which the parameters are those that are kept; where epochs were judged,
  `best_epoch` and `stopped_epoch` (None: it trained to the end), from 1;
  `seconds`, the trial's share of the training.
  """
  rows = []
  for i, trial_id in enumerate(trained.ids):
    diverged_step = int(trained.diverged_at[i])
    ok = diverged_step < 0
    epochs, last = _epochs(trained, i)
    terms = {
      name: float(term[i, last - 1]) for name, term in trained.history.items()
    }
    rows.append(
      {
        "id": trial_id,
        "status": "ok" if ok else "diverged",
        "diverged_step": None if ok else diverged_step,
        **trained.settings[i],
        **terms,
        **epochs,
        "seconds": trained.seconds / len(trained.ids),
        "evaluation_seconds": 0.0,
        METRIC_GROUPS: "",
      }
    )
  return rows


def _epochs(trained: TrainedGroup, i: int) -> tuple[Row, int]:
  """What is known of the epochs of a trial; the one that it ends with."""
  num_epochs = trained.settings[i]["num_epochs"]
  if trained.best_epoch is None or trained.stopped_epoch is None:
    return {}, num_epochs
  best, stopped = int(trained.best_epoch[i]), int(trained.stopped_epoch[i])
  last = stopped or num_epochs
  if trained.settings[i].get("keep_best") and best:
    last = best
  return {"best_epoch": best, "stopped_epoch": stopped or None}, last


def with_metrics(
  rows: list[Row],
  trained: TrainedGroup,
  measured: Measured,
  baselines: Baselines,
  metric_groups: Collection[str],
  is_part: bool = False,
) -> list[Row]:
  """Rows with what was measured, in the order of `columns.METRICS`.

  Args:
    rows: of `trial_rows`, or earlier ones of the same trials.
    trained: the trials.
    measured: their metrics.
    baselines: those of PCA and of the data.
    metric_groups: that were measured, beside those that the rows name.
    is_part: whether those that are not in `columns.ON_ALL` were measured on a
      part of the examples.
  """
  taken = sum(measured.seconds.values()) / len(rows)
  table = []
  for i, row in enumerate(rows):
    own = {name: column[i] for name, column in measured.columns.items()}
    values = own | baselines[trained.latent_sizes[i]]
    groups = [*groups_of(row), *metric_groups]
    in_part = [
      *(name for name in in_part_of(row) if name not in metric_groups),
      *(name for name in metric_groups if is_part and name not in ON_ALL),
    ]
    new = row | {
      **{name: float(values[name]) for name in _columns(values, groups)},
      "evaluation_seconds": float(row["evaluation_seconds"] or 0.0) + taken,
      METRIC_GROUPS: "+".join(dict.fromkeys(groups)),
    }
    new.pop(IN_PART, None)
    if in_part:
      new[IN_PART] = "+".join(in_part)
    table.append(_in_order(_with_last_update(new, trained.num_steps)))
  return table


def groups_of(row: Mapping[str, Any]) -> list[str]:
  """The metric groups that a row names."""
  return _names(row, METRIC_GROUPS)


def lacks(row: Mapping[str, Any], metric_group: str, on_all: bool) -> bool:
  """Whether a metric group is to be measured, on all examples or on a part."""
  return metric_group not in groups_of(row) or (
    on_all and metric_group in in_part_of(row)
  )


def in_part_of(row: Mapping[str, Any]) -> list[str]:
  """Those that were measured on a part of the examples."""
  return _names(row, IN_PART)


def _names(row: Mapping[str, Any], column: str) -> list[str]:
  return [name for name in str(row.get(column) or "").split("+") if name]


def _with_last_update(row: Row, num_steps: int) -> Row:
  """The row, as diverged where the update of the last step broke the model."""
  error = row.get("train_squared_error")
  broken = error is not None and not np.isfinite(float(error))
  if row["status"] != "ok" or not broken:
    return row
  return row | {"status": "diverged", "diverged_step": num_steps - 1}


def _columns(values: Mapping[str, Any], groups: Collection[str]) -> list[str]:
  """Those that are metrics, in the order of the table, a user's last."""
  own = {name for group in groups for name in OWN_GROUPS.get(group, ())}
  names = dict.fromkeys([*METRICS, *sorted(own)])
  return [name for name in names if name in values]


def _in_order(row: Row) -> Row:
  metrics = _columns(row, groups_of(row))
  first = {k: v for k, v in row.items() if k not in {*metrics, *_LAST}}
  middle = {name: row[name] for name in metrics}
  return first | middle | {k: row[k] for k in _LAST if k in row}
