"""Which row of a table is best."""

import difflib
import math
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from ae_jax import lookup
from ae_jax.metrics.registry import more_is_better
from ae_jax.types import UsageError


def best_row(
  rows: Collection[Mapping[str, Any]], by: str, where: Mapping[str, Any]
) -> Any:
  """The best row by a column, among those with the given settings.

  Args:
    rows: with numbers as numbers.
    by: the column.
    where: setting -> value.

  Raises:
    UsageError: there is no such column or setting, or no such row.
  """
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
