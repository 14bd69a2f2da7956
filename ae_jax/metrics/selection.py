"""Which row of a table is best."""

import difflib
import math
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from ae_jax import lookup
from ae_jax.metrics.columns import validated
from ae_jax.metrics.registry import more_is_better
from ae_jax.types import UsageError

_CHOSEN_BY = ("validation_squared_error", "test_squared_error")


def criterion(rows: Iterable[Mapping[str, Any]], by: str | None = None) -> str:
  """The column that trials are chosen by: the validation error by default.

  Args:
    rows: of the table; without a validation set the test error is all there is.
    by: what the user asks for, if anything.
  """
  if by is not None:
    return by
  names = {name for row in rows for name, value in row.items() if value != ""}
  return next((n for n in _CHOSEN_BY if n in names), _CHOSEN_BY[0])


def remark(rows: Iterable[Mapping[str, Any]], by: str) -> str:
  """What to say of a choice that was made on the test set; else empty."""
  if validated(by) == by:
    return ""
  if any(validated(by) in row for row in rows):
    return (
      f"chosen by {by}, on the test set: the chosen trial looks better on it"
      f" than it is; {validated(by)} chooses without it"
    )
  return (
    "chosen on the test set, there being no validation set: the chosen trial"
    " looks better on it than it is"
  )


def best_row(
  rows: Collection[Mapping[str, Any]],
  by: str | None,
  where: Mapping[str, Any],
) -> Any:
  """The best row by a column, among those with the given settings.

  Args:
    rows: with numbers as numbers.
    by: the column; None: see `criterion`.
    where: setting -> value.

  Raises:
    UsageError: there is no such column or setting, or no such row.
  """
  by = criterion(rows, by)
  names = [*dict.fromkeys(name for row in rows for name in row)]
  for name in (by, *where):
    if name not in names:
      close = difflib.get_close_matches(name, names, n=1, cutoff=0.7)
      hint = f"did you mean {close[0]}? " if close else ""
      raise UsageError(
        f"the table has no column {name!r}; {hint}it has"
        f" {listed(names, limit=24)}"
      )
  fitting = [*rows]
  for name, value in where.items():
    values = [row.get(name) for row in fitting]
    value = lookup.name_of(name, value) if callable(value) else value
    fitting = [row for row in fitting if _same(row.get(name), value)]
    if not fitting:
      raise UsageError(
        f"no such trial has {name}={value}; the values are {listed(values)}"
      )
  found = best(fitting, by)
  if found is None:
    raise UsageError(
      f"none of {len(fitting)} trials has a number in {by!r}, or all diverged"
    )
  return found


def number(row: Mapping[str, Any], column: str) -> float | None:
  """A finite number of a row; None where there is none."""
  stored = row.get(column)
  try:
    value = math.nan if stored in (None, "") else float(stored)
  except (ValueError, TypeError):
    return None
  return value if math.isfinite(value) else None


def best(rows: Iterable[Mapping[str, Any]], by: str) -> Any:
  """The best row, by a column, of those that ended well and have a number.

  The largest value is the best one of a metric of which more is better, else
  the least; the first of equal ones. None where there is no such row.
  """
  sign = -1 if more_is_better(by) else 1
  values = [
    (sign * value, row)
    for row in rows
    if row["status"] == "ok" and (value := number(row, by)) is not None
  ]
  return min(values, key=lambda pair: pair[0])[1] if values else None


def listed(values: Collection[Any], limit: int = 8) -> str:
  """Distinct values, the first of them, with commas."""
  texts = [*dict.fromkeys(map(str, values))]
  return ", ".join(texts[:limit]) + (", ..." if len(texts) > limit else "")


def _same(stored: Any, given: Any) -> bool:
  """Whether a setting of the table is the one that was asked for."""
  if isinstance(stored, tuple):
    given = tuple(given) if isinstance(given, list | tuple) else (given,)
  return stored == given or str(stored) == str(given)
