"""What a trial has by epoch and by code unit: files of their own."""

import csv
import io
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from ae_jax.atomic import write_text
from ae_jax.types import UsageError

CURVES, UNITS = "curves", "units"


def write(
  workdir: Path,
  trial_id: str,
  history: Mapping[str, np.ndarray],
  units: Mapping[str, np.ndarray],
) -> str:
  """Writes a trial's learning curves and metrics of its code units.

  Args:
    workdir: of the run.
    trial_id: of the trial.
    history: a line an epoch, a column a term.
    units: a line a unit, from 1; nothing is written where it is empty.

  Returns:
    A checksum of both, for the column `series` of its row.
  """
  _write(workdir / CURVES / f"{trial_id}.csv", "epoch", history)
  if units:
    _write(workdir / UNITS / f"{trial_id}.csv", "unit", units)
  return checksum(workdir, trial_id)


def read_curves(workdir: Path, trial_id: str) -> dict[str, np.ndarray]:
  """A trial's learning curves, term -> `[num_epochs]`.

  Raises:
    UsageError: they are absent or damaged.
  """
  return _read(workdir / CURVES / f"{trial_id}.csv")


def read_units(workdir: Path, trial_id: str) -> dict[str, np.ndarray]:
  """What is measured of each code unit, name -> `[latent]`; perhaps nothing.

  Raises:
    UsageError: it is damaged.
  """
  path = workdir / UNITS / f"{trial_id}.csv"
  return _read(path) if path.exists() else {}


def checksum(workdir: Path, trial_id: str) -> str:
  """Eight hex digits over the bytes of both."""
  check = 0
  for folder in (CURVES, UNITS):
    path = workdir / folder / f"{trial_id}.csv"
    check = zlib.crc32(path.read_bytes() if path.exists() else b"", check)
  return f"{check:08x}"


def absent_or_damaged(path: Path) -> UsageError:
  """What to say of a file of a run that cannot be read."""
  return UsageError(
    f"{path} is absent or damaged; the sweep's command makes it again"
  )


def _write(path: Path, index: str, series: Mapping[str, np.ndarray]) -> None:
  buffer = io.StringIO()
  writer = csv.writer(buffer, lineterminator="\n")
  writer.writerow((index, *series))
  for i, values in enumerate(zip(*series.values(), strict=True), start=1):
    writer.writerow((i, *map(float, values)))
  path.parent.mkdir(exist_ok=True)
  write_text(path, buffer.getvalue())


def _read(path: Path) -> dict[str, np.ndarray]:
  try:
    with path.open(newline="", encoding="utf-8") as file:
      _, *names = next(reader := csv.reader(file))
      values = np.array([row[1:] for row in reader], np.float64)
    return dict(zip(names, values.reshape(-1, len(names)).T, strict=True))
  except (OSError, ValueError, StopIteration, csv.Error) as error:
    raise absent_or_damaged(path) from error
