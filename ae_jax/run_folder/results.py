"""The table of a run, `results.csv`: one row a finished trial."""

import csv
import io
import re
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

from ae_jax.atomic import read_text, write_text
from ae_jax.metrics.selection import number
from ae_jax.over_seeds import columns
from ae_jax.run_folder import own_metrics
from ae_jax.settings import DEFAULTS
from ae_jax.types import UsageError

RESULTS = "results.csv"

TextRow = dict[str, str]

_ID = re.compile("[0-9a-f]{10}")
_WHOLE_NUMBER = re.compile("[0-9]{1,10}")
_INTEGER = re.compile("[+-]?[0-9]{1,40}")
_TUPLE = re.compile(r"\((?:[+-]?[0-9]{1,40}, ?)*(?:[+-]?[0-9]{1,40})?\)")
_WORDS = {"": None, "None": None, "True": True, "False": False}
_MAX_CHARACTERS = 4096  # of a cell that is more than text
_WHOLE_NUMBERS = ("latent_size", "num_epochs")
_ALWAYS = (  # the columns of every row
  *DEFAULTS,
  "train_squared_error",
  "test_squared_error",
  "pca_test_squared_error",
)


def read_rows(folder: Path) -> dict[str, TextRow]:
  """The finished trials, by id; without rows that cannot be read.

  Raises:
    UsageError: the table is no file that can be read.
  """
  own_metrics.declare(folder)
  return {row["id"]: row for row in _read(folder)[0]}


def num_unreadable(folder: Path) -> int:
  """How many lines of the table cannot be read."""
  return _read(folder)[1]


def add_rows(folder: Path, rows: Iterable[Mapping[str, Any]]) -> None:
  """Adds finished trials to the table, in the place of rows of the same id."""
  new = {
    row["id"]: {name: _text(value) for name, value in row.items()}
    for row in rows
  }
  _write_rows(folder, read_rows(folder) | new)


def remove_rows(folder: Path, trial_ids: Collection[str]) -> None:
  """Takes trials out of the table."""
  table = read_rows(folder)
  _write_rows(
    folder, {k: row for k, row in table.items() if k not in trial_ids}
  )


def typed(row: TextRow) -> dict[str, Any]:
  """A row with numbers and tuples in the place of their text; empty: None."""
  return {
    name: text if name == "id" else _value(text) for name, text in row.items()
  }


def _write_rows(folder: Path, table: Mapping[str, TextRow]) -> None:
  buffer = io.StringIO()
  names = columns(table.values())
  writer = csv.DictWriter(buffer, names, restval="", lineterminator="\n")
  writer.writeheader()
  writer.writerows(table.values())
  write_text(folder / RESULTS, buffer.getvalue())


def _read(folder: Path) -> tuple[list[TextRow], int]:
  """The rows that can be read, and the number of lines that cannot."""
  path = folder / RESULTS
  if not path.exists():
    return [], 0
  try:
    text = read_text(path, "replace")
  except OSError as error:
    raise UsageError(f"cannot read {path}: {error.strerror}") from error
  header, *lines = text.replace("\r\n", "\n").removesuffix("\n").split("\n")
  names = _fields(header) or []
  rows = []
  for line in lines:
    row = dict(zip(names, fields := _fields(line) or [], strict=False))
    if len(fields) == len(names) and _is_row(row):
      rows.append(row)
  return rows, len(lines) - len(rows)


def _fields(line: str) -> list[str] | None:
  """The fields of one line; None where it is no line of a table."""
  try:
    return next(csv.reader([line], strict=True), None)
  except csv.Error:
    return None


def _is_row(row: TextRow) -> bool:
  """Whether all is there that every row has."""
  return (
    _ID.fullmatch(row.get("id", "")) is not None
    and row.get("status") in ("ok", "diverged")
    and all(_WHOLE_NUMBER.fullmatch(row.get(n, "")) for n in _WHOLE_NUMBERS)
    and all(name in row for name in _ALWAYS)
    and bool(row["objective"])
    and number(row, "seconds") is not None
  )


def _value(text: str) -> Any:
  """None, a bool, an int, a tuple of ints or a float; else the text."""
  if text in _WORDS:
    return _WORDS[text]
  if len(text) > _MAX_CHARACTERS:
    return text
  if _INTEGER.fullmatch(text):
    return int(text)
  if _TUPLE.fullmatch(text):
    return tuple(map(int, re.findall("[^(), ]+", text)))
  try:
    return float(text)  # nan, inf
  except ValueError:
    return text


def _text(value: Any) -> str:
  text = "" if value is None else str(value)
  return re.sub(r"[\r\n]", " ", text)  # a row is one line
