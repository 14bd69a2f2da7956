"""Questions that the page asks of the table of a run.

TextRows stay as they are on disk, text by column, so that settings are compared
and shown as they were written; `number` reads a value.
"""

import difflib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from ae_jax.metrics.columns import BASELINES
from ae_jax.metrics.registry import column
from ae_jax.metrics.selection import criterion, number
from ae_jax.over_seeds import (
  Summary,
  columns,
  ranked,
  varying,
  without_rounding,
)
from ae_jax.run_folder import load, run_config
from ae_jax.run_folder.results import TextRow
from ae_jax.settings import DEFAULTS
from ae_jax.types import UsageError

TextRows = Sequence[TextRow]

_FIRST_RESULT = "loss"
_SHORT = {
  "id": "trial",
  "train_squared_error": "train error",
  "validation_squared_error": "validation error",
  "test_squared_error": "test error",
  "pca_validation_squared_error": "PCA validation error",
  "pca_test_squared_error": "PCA test error",
}


def read(
  workdir: Path, by: str | None
) -> tuple[list[TextRow], dict[str, Any], str]:
  """The whole rows of a run, its configuration, and what to choose by.

  Raises:
    UsageError: there is no run, no finished trial, or no such metric to
      compare trials by.
  """
  config = run_config.read(workdir)
  rows = [*load.finished(workdir).values()]
  if not rows:
    raise UsageError(f"run {workdir} has no finished trial yet")
  by = criterion(rows, by)
  allowed = result_columns(rows)
  if by not in allowed:
    close = difflib.get_close_matches(by, allowed, n=1)
    hint = f"did you mean {close[0]}? " if close else ""
    raise UsageError(
      f"no metric {by!r} to compare trials by; {hint}there are"
      f" {', '.join(allowed)}"
    )
  return rows, config, by


def ok(rows: Iterable[TextRow]) -> list[TextRow]:
  """The rows of the trials that did not diverge."""
  return [row for row in rows if row["status"] == "ok"]


def result_columns(rows: TextRows) -> list[str]:
  """The columns that hold a trial's own results: terms, metrics, seconds."""
  names = columns(rows)
  first = names.index(_FIRST_RESULT)
  return [
    name
    for name in names[first:]
    if not name.startswith(BASELINES) and not name.startswith("metric_groups")
  ]


def unit(metric: str) -> str:
  """Of a column; empty where it is not known."""
  found = column(metric)
  return "" if found is None else found.unit


def heading(column: str) -> str:
  """A column as it stands in a heading."""
  return _SHORT.get(column, column.replace("_", " "))


def by_objective(rows: TextRows) -> dict[str, list[TextRow]]:
  """The rows of each objective, in their order."""
  return {
    name: [row for row in rows if row["objective"] == name]
    for name in dict.fromkeys(row["objective"] for row in rows)
  }


def ordered(values: Iterable[str]) -> list[str]:
  """Distinct values of a setting: numbers by size, then text."""

  def key(text: str) -> tuple[bool, float, str]:
    value = number({"": text}, "")
    return value is None, value or 0.0, text

  return sorted(set(values), key=key)


def latent_sizes(rows: TextRows) -> list[int]:
  """The latent sizes there are, in rising order."""
  return sorted({int(row["latent_size"]) for row in rows})


def strength(rows: TextRows) -> str | None:
  """The hyper-parameter of one objective that its trials sweep.

  Args:
    rows: of one objective.

  Returns:
    The one with the most values, a number before text; None where all its
    trials share theirs.
  """
  own = [name for name in varying(rows) if name not in DEFAULTS]

  def key(name: str) -> tuple[bool, int]:
    is_number = all(number(row, name) is not None for row in rows)
    return is_number, len({row[name] for row in rows})

  return max(own, key=key, default=None)


def over_seeds(
  rows: TextRows, by: str, axes: Sequence[str]
) -> dict[tuple[str, ...], Summary]:
  """A metric at each combination of some settings, mean over seeds.

  Args:
    rows: of one objective.
    by: the metric.
    axes: settings.

  Returns:
    The values of `axes` -> the best mean among the settings that have them;
    those whose seeds have all ended well go before others.
  """
  cells: dict[tuple[str, ...], Summary] = {}
  for setting, summary in ranked(rows, by):
    cells.setdefault(tuple(setting[axis] for axis in axes), summary)
  return cells


def baseline(rows: TextRows, by: str) -> dict[int, float]:
  """Latent size -> the metric of a PCA, above 0, in rising order.

  A PCA with all its components leaves no error but rounding: it is left out,
  a logarithmic axis having no place for it.
  """
  values = {
    int(row["latent_size"]): value
    for row in rows
    if (value := number(row, f"pca_{by}")) is not None
  }
  own = [n for row in rows if (n := number(row, by)) is not None]
  sizes = sorted(values)
  kept = without_rounding([values[size] for size in sizes], own)
  return {size: n for size, n in zip(sizes, kept, strict=True) if n}
