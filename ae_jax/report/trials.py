"""Questions that the page asks of the table of a run.

TextRows stay as they are on disk, text by column, so that settings are compared
and shown as they were written; `number` reads a value.
"""

import collections
import difflib
import math
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ae_jax.metrics.registry import column, more_is_better
from ae_jax.metrics.selection import number
from ae_jax.run_folder import load, results, run_config
from ae_jax.run_folder.results import TextRow
from ae_jax.settings import DEFAULTS
from ae_jax.types import UsageError

TextRows = Sequence[TextRow]

_ENDING = ("id", "status", "diverged_step")
_FIRST_RESULT = "loss"
_SHORT = {
  "id": "trial",
  "train_squared_error": "train error",
  "test_squared_error": "test error",
  "pca_test_squared_error": "PCA test error",
}
_BASELINES = ("pca_", "pixels_")
_ROUNDING = 1e-12  # relative to the largest number of a column


class Summary(NamedTuple):
  """One metric of several trials.

  Attributes:
    mean: over the trials, in the unit of the metric.
    spread: their standard deviation (over n - 1); 0 of one.
    num_trials: n.
    num_lost: further trials, which diverged or lack the metric.
  """

  mean: float
  spread: float
  num_trials: int
  num_lost: int

  def __str__(self) -> str:
    spread = f" ± {self.spread:.1g}" if self.num_trials > 1 else ""
    lost = f" ({self.num_lost} lost)" if self.num_lost else ""
    return f"{self.mean:.3g}{spread}{lost}"


def read(workdir: Path, by: str) -> tuple[list[TextRow], dict[str, Any]]:
  """The rows of the trials of a run that are whole, and its configuration.

  Raises:
    UsageError: there is no run, no finished trial, or no such metric to
      compare trials by.
  """
  config = run_config.read(workdir)
  rows = [*load.finished(workdir).values()]
  if not rows:
    raise UsageError(f"run {workdir} has no finished trial yet")
  allowed = result_columns(rows)
  if by not in allowed:
    close = difflib.get_close_matches(by, allowed, n=1)
    hint = f"did you mean {close[0]}? " if close else ""
    raise UsageError(
      f"no metric {by!r} to compare trials by; {hint}there are"
      f" {', '.join(allowed)}"
    )
  return rows, config


def ok(rows: Iterable[TextRow]) -> list[TextRow]:
  """The rows of the trials that did not diverge."""
  return [row for row in rows if row["status"] == "ok"]


def settings(rows: TextRows) -> list[str]:
  """The columns that say what a trial is."""
  names = results.columns(rows)
  return [n for n in names[: names.index(_FIRST_RESULT)] if n not in _ENDING]


def result_columns(rows: TextRows) -> list[str]:
  """The columns that hold a trial's own results: terms, metrics, seconds."""
  names = results.columns(rows)
  first = names.index(_FIRST_RESULT)
  return [
    name
    for name in names[first:]
    if not name.startswith(_BASELINES) and name != "metric_groups"
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


def varying(rows: TextRows) -> list[str]:
  """The settings that differ between the rows."""
  return [
    name
    for name in settings(rows)
    if len({row.get(name, "") for row in rows}) > 1
  ]


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
  others = [name for name in settings(rows) if name not in ("seed", *axes)]
  sign = -1 if more_is_better(by) else 1
  ranks = collections.defaultdict(list)
  for key, summary in means(rows, by, (*axes, *others)).items():
    cell = key[: len(axes)]
    ranks[cell].append((summary.num_lost > 0, sign * summary.mean, summary))
  return {cell: min(ranked)[-1] for cell, ranked in ranks.items()}


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


def means(
  rows: TextRows, by: str, axes: Sequence[str]
) -> dict[tuple[str, ...], Summary]:
  """A metric at each combination of some settings, over all other settings."""
  cells = collections.defaultdict(list)
  for row in rows:
    value = number(row, by) if row["status"] == "ok" else None
    cells[tuple(row[axis] for axis in axes)].append(value)
  return {
    cell: _summary(kept, len(values) - len(kept))
    for cell, values in cells.items()
    if (kept := [value for value in values if value is not None])
  }


def without_rounding(
  values: Collection[float], others: Collection[float] = ()
) -> list[float]:
  """The values, 0 for those that are rounding errors of the largest one.

  The error of a PCA with all its components is 1e-14 or so, not 0.

  Args:
    values: of one column.
    others: of a column in the same unit, among which the largest one may be.
  """
  least = _ROUNDING * max(map(abs, (*values, *others)), default=0.0)
  return [value if abs(value) > least else 0.0 for value in values]


def _summary(values: list[float], num_lost: int) -> Summary:
  n = len(values)
  mean = math.fsum(values) / n
  squares = math.fsum((value - mean) ** 2 for value in values)
  return Summary(mean, math.sqrt(squares / max(n - 1, 1)), n, num_lost)
