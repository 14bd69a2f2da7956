"""The table of a run: one row a finished trial."""

import ast
import csv
import io
import math
import zlib
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

from ae_jax.atomic import write_text
from ae_jax.metrics.registry import more_is_better
from ae_jax.run_folder import curves

RESULTS = "results.csv"

_SERIES, _CHECK = "series", "checksum"  # of curves and units, of the row
_TIMES = ("seconds", "evaluation_seconds")

TextRow = dict[str, str]


def read_rows(workdir: Path) -> dict[str, TextRow]:
  """The finished trials, by id; without rows that are damaged."""
  return {
    row["id"]: {name: text for name, text in row.items() if name != _SERIES}
    for row in _whole_rows(workdir)
  }


def num_damaged(workdir: Path) -> int:
  """How many rows were changed after they were written."""
  return sum(not _is_whole(row) for row in _lines(workdir))


def add_rows(workdir: Path, rows: Iterable[Mapping[str, Any]]) -> None:
  """Adds finished trials to the table, in the place of rows of the same id."""
  new = {
    row["id"]: {name: _text(value) for name, value in row.items()}
    for row in rows
  }
  _write_rows(workdir, {row["id"]: row for row in _whole_rows(workdir)} | new)


def remove_rows(workdir: Path, trial_ids: Collection[str]) -> None:
  """Takes trials out of the table."""
  table = {row["id"]: row for row in _whole_rows(workdir)}
  _write_rows(
    workdir, {k: row for k, row in table.items() if k not in trial_ids}
  )


def whole_series(workdir: Path) -> set[str]:
  """Ids of the trials whose curves and units are as they were written."""
  return {
    row["id"]
    for row in _whole_rows(workdir)
    if row.get(_SERIES) == curves.checksum(workdir, row["id"])
  }


def typed(row: TextRow) -> dict[str, Any]:
  """A row with numbers and tuples in the place of their text; empty: None."""
  return {
    name: text if name == "id" else _value(text) for name, text in row.items()
  }


def number(row: TextRow, column: str) -> float | None:
  """A finite number of a row; None where there is none."""
  try:
    value = float(row.get(column) or "nan")
  except ValueError:
    return None
  return value if math.isfinite(value) else None


def best(rows: Iterable[TextRow], by: str) -> TextRow | None:
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


def columns(rows: Iterable[Mapping[str, Any]]) -> list[str]:
  """The columns of all rows; one that only some have stands where they do."""
  names: list[str] = []
  for row in rows:
    at = 0
    for name in row:
      if name not in names:
        names.insert(at, name)
      at = names.index(name) + 1
  return names


def _write_rows(workdir: Path, table: Mapping[str, TextRow]) -> None:
  buffer = io.StringIO()
  writer = csv.DictWriter(
    buffer,
    [*columns(table.values()), _CHECK],
    restval="",
    lineterminator="\n",
  )
  writer.writeheader()
  for row in table.values():
    writer.writerow(row | {_CHECK: _checksum(row)})
  write_text(workdir / RESULTS, buffer.getvalue())


def _lines(workdir: Path) -> list[TextRow]:
  """All rows, as they are there."""
  path = workdir / RESULTS
  if not path.exists():
    return []
  with path.open(newline="", encoding="utf-8", errors="replace") as file:
    return [*csv.DictReader(file)]


def _whole_rows(workdir: Path) -> list[TextRow]:
  """Those that are as they were written, without their checksum."""
  return [
    {name: text for name, text in row.items() if name != _CHECK}
    for row in _lines(workdir)
    if _is_whole(row)
  ]


def _is_whole(row: TextRow) -> bool:
  texts = {name: text for name, text in row.items() if name != _CHECK}
  return row.get(_CHECK) == _checksum(texts)


def _checksum(texts: TextRow) -> str:
  """Eight hex digits over all fields but times; an empty one is none."""
  fields = [
    f"{name}={text}"
    for name, text in texts.items()
    if text and name not in _TIMES
  ]
  return f"{zlib.crc32(repr(sorted(fields)).encode()):08x}"


def _value(text: str) -> Any:
  if not text:
    return None
  try:
    return ast.literal_eval(text)
  except (ValueError, SyntaxError):
    pass
  try:
    return float(text)  # nan, inf
  except ValueError:
    return text


def _text(value: Any) -> str:
  return "" if value is None else str(value)
