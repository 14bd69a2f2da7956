"""A run on disk: its configuration, one row a trial, learning curves.

A workdir belongs to one configuration; its grid may grow. Files are replaced
whole, so a killed run leaves each as it was before or after, never between.
"""

import ast
import csv
import fcntl
import hashlib
import io
import json
import math
import os
import platform
import time
import zlib
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from ae_jax.atomic import DAMAGED, replacing
from ae_jax.data import Standardization
from ae_jax.evaluation.measures import more_is_better
from ae_jax.types import UsageError

CONFIG, RESULTS = "config.json", "results.csv"
CURVES, UNITS = "curves", "units"
STANDARDIZATION = "standardization.npz"

_SERIES, _CHECK = "series", "checksum"  # of curves and units, of the row
_TIMES = ("seconds", "evaluation_seconds")

TextRow = dict[str, str]


def open_workdir(workdir: Path, run: Mapping[str, Any]) -> TextIO:
  """Makes the workdir, or checks that it belongs to this configuration.

  Args:
    workdir: may exist.
    run: what `config.json` is to hold. `identity` in it is what must be the
      same for all runs in this workdir; the rest describes the last one.

  Returns:
    A lock on the workdir, held until it is closed or the process ends.

  Raises:
    UsageError: the workdir holds another configuration or a run that goes on,
      or cannot be written.
  """
  path = workdir / CONFIG
  text = json.dumps(run, indent=2) + "\n"
  try:
    (workdir / CURVES).mkdir(parents=True, exist_ok=True)
    lock = _lock(workdir)
    try:
      if path.exists():
        _check_identity(workdir, json.loads(text)["identity"])
      elif (workdir / RESULTS).exists():
        raise UsageError(
          f"workdir {workdir} holds {RESULTS} without {CONFIG}; name another"
        )
      _sign(lock)
      replace(path, text)
    except BaseException:
      lock.close()
      raise
  except OSError as error:
    raise UsageError(
      f"cannot write to workdir {workdir}: {error.strerror}"
    ) from error
  return lock


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


def write_series(
  workdir: Path,
  trial_id: str,
  history: Mapping[str, np.ndarray],
  units: Mapping[str, np.ndarray],
) -> str:
  """Writes a trial's learning curves and measures of its code units.

  Args:
    workdir: of the run.
    trial_id: of the trial.
    history: a line an epoch, a column a term.
    units: a line a unit, from 1; nothing is written where it is empty.

  Returns:
    A checksum of both, for the column `series` of its row.
  """
  _write_series(workdir / CURVES / f"{trial_id}.csv", "epoch", history)
  if units:
    _write_series(workdir / UNITS / f"{trial_id}.csv", "unit", units)
  return _series_checksum(workdir, trial_id)


def read_curves(workdir: Path, trial_id: str) -> dict[str, np.ndarray]:
  """A trial's learning curves, term -> `[num_epochs]`.

  Raises:
    UsageError: they are absent or damaged.
  """
  return _read_series(workdir / CURVES / f"{trial_id}.csv")


def read_units(workdir: Path, trial_id: str) -> dict[str, np.ndarray]:
  """What is measured of each code unit, name -> `[latent]`; perhaps nothing.

  Raises:
    UsageError: it is damaged.
  """
  path = workdir / UNITS / f"{trial_id}.csv"
  return _read_series(path) if path.exists() else {}


def whole_series(workdir: Path) -> set[str]:
  """Ids of the trials whose curves and units are as they were written."""
  return {
    row["id"]
    for row in _whole_rows(workdir)
    if row.get(_SERIES) == _series_checksum(workdir, row["id"])
  }


def read_config(workdir: Path) -> dict[str, Any]:
  """What `config.json` holds: identity, config, command, versions, devices.

  Raises:
    UsageError: there is no run in the workdir.
  """
  path = workdir / CONFIG
  try:
    config = json.loads(path.read_text(encoding="utf-8"))
    low, high = config["data_range"]
    if not (
      isinstance(config["identity"], dict)
      and isinstance(config["config"]["data"], dict)
      and isinstance(config["data_bytes"], bool)
      and low <= high
    ):
      raise ValueError("a field has another type")
  except OSError as error:
    raise UsageError(
      f"{workdir} holds no run: {CONFIG}: {error.strerror}"
    ) from error
  except (ValueError, KeyError, TypeError) as error:
    raise UsageError(f"{path} is not a {CONFIG} of this program") from error
  return config


def digest(workdir: Path) -> str:
  """What names the run: hex digits over the identity in its `config.json`.

  Raises:
    UsageError: there is no run in the workdir.
  """
  identity = json.dumps(read_config(workdir)["identity"], sort_keys=True)
  return hashlib.sha256(identity.encode()).hexdigest()


def write_standardization(
  workdir: Path, standardization: Standardization
) -> None:
  """Keeps what the data was standardised with, for models that are loaded."""
  path = workdir / STANDARDIZATION
  with replacing(path) as file:
    np.savez(file, **standardization._asdict())


def read_standardization(workdir: Path) -> Standardization | None:
  """What the data was standardised with; None where it was not.

  Raises:
    UsageError: there is no run, or the file is absent or damaged.
  """
  if not read_config(workdir)["config"]["data"]["standardize"]:
    return None
  path = workdir / STANDARDIZATION
  try:
    with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
      return Standardization(**arrays)
  except (OSError, KeyError, *DAMAGED) as error:
    raise _absent_or_damaged(path) from error


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

  The largest value is the best one of a measure of which more is better, else
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


def replace(path: Path, text: str) -> None:
  """Writes a file whole: it is the old one or the new one, nothing between."""
  with replacing(path) as file:
    file.write(text.encode())


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
  replace(workdir / RESULTS, buffer.getvalue())


def _write_series(
  path: Path, index: str, series: Mapping[str, np.ndarray]
) -> None:
  buffer = io.StringIO()
  writer = csv.writer(buffer, lineterminator="\n")
  writer.writerow((index, *series))
  for i, values in enumerate(zip(*series.values(), strict=True), start=1):
    writer.writerow((i, *map(float, values)))
  path.parent.mkdir(exist_ok=True)
  replace(path, buffer.getvalue())


def _read_series(path: Path) -> dict[str, np.ndarray]:
  try:
    with path.open(newline="", encoding="utf-8") as file:
      _, *names = next(reader := csv.reader(file))
      values = np.array([row[1:] for row in reader], np.float64)
    return dict(zip(names, values.reshape(-1, len(names)).T, strict=True))
  except (OSError, ValueError, StopIteration, csv.Error) as error:
    raise _absent_or_damaged(path) from error


def _absent_or_damaged(path: Path) -> UsageError:
  return UsageError(
    f"{path} is absent or damaged; the sweep's command makes it again"
  )


def _series_checksum(workdir: Path, trial_id: str) -> str:
  check = 0
  for folder in (CURVES, UNITS):
    path = workdir / folder / f"{trial_id}.csv"
    check = zlib.crc32(path.read_bytes() if path.exists() else b"", check)
  return f"{check:08x}"


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


def _lock(workdir: Path) -> TextIO:
  lock = (workdir / ".lock").open("a+", encoding="utf-8")
  try:
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
  except BlockingIOError:
    lock.seek(0)
    holder = lock.read().strip()
    lock.close()
    raise UsageError(f"workdir {workdir} is in use by {holder}") from None
  return lock


def _sign(lock: TextIO) -> None:
  """Says who holds a lock."""
  lock.truncate(0)
  now = time.strftime("%Y-%m-%d %H:%M:%S")
  lock.write(f"process {os.getpid()} on {platform.node()} since {now}\n")
  lock.flush()


def _check_identity(workdir: Path, identity: Mapping[str, Any]) -> None:
  stored = read_config(workdir)["identity"]
  differing = [
    key for key in identity | stored if stored.get(key) != identity.get(key)
  ]
  if differing:
    key = differing[0]
    raise UsageError(
      f"workdir {workdir} belongs to another configuration: {key} is"
      f" {stored.get(key)!r} there and {identity.get(key)!r} here; name another"
      " workdir"
    )


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
