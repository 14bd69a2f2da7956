"""What a trial has by epoch and by code unit: files of their own."""

import csv
import io
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ae_jax.atomic import read_text, write_text
from ae_jax.types import UsageError

CURVES, UNITS = "curves", "units"


def write(
  folder: Path,
  trial_id: str,
  history: Mapping[str, np.ndarray],
  units: Mapping[str, np.ndarray],
) -> None:
  """Writes a trial's learning curves and metrics of its code units.

  Args:
    folder: of the run.
    trial_id: of the trial.
    history: a line an epoch, a column a term.
    units: a line a unit, from 1; joins what was measured of them before.
  """
  _write(folder / CURVES / f"{trial_id}.csv", "epoch", history)
  path = folder / UNITS / f"{trial_id}.csv"
  if units:
    before = _read(path) if _is_series(path, None) else {}
    fitting = {
      name: values
      for name, values in before.items()
      if len(values) == len(next(iter(units.values())))
    }
    _write(path, "unit", fitting | dict(units))


def read_curves(folder: Path, trial_id: str) -> dict[str, np.ndarray]:
  """A trial's learning curves, term -> `[num_epochs]`.

  Raises:
    UsageError: they are absent or damaged.
  """
  return _read(folder / CURVES / f"{trial_id}.csv")


def read_units(folder: Path, trial_id: str) -> dict[str, np.ndarray]:
  """What is measured of each code unit, name -> `[latent]`; perhaps nothing.

  Raises:
    UsageError: it is damaged.
  """
  path = folder / UNITS / f"{trial_id}.csv"
  return _read(path) if path.exists() else {}


def remove(folder: Path, trial_ids: Collection[str]) -> None:
  """Removes what there is of trials.

  Raises:
    UsageError: it cannot be removed.
  """
  for trial_id in trial_ids:
    for kind in (CURVES, UNITS):
      path = folder / kind / f"{trial_id}.csv"
      try:
        path.unlink(missing_ok=True)
      except OSError as error:
        raise UsageError(f"cannot remove {path}: {error.strerror}") from error


def are_intact(folder: Path, row: Mapping[str, Any]) -> bool:
  """Whether the curves and units of a row can be read, and are whole."""
  name = f"{row['id']}.csv"
  units = folder / UNITS / name
  return _is_series(folder / CURVES / name, int(row["num_epochs"])) and (
    not units.exists() or _is_series(units, int(row["latent_size"]))
  )


def absent_or_damaged(path: Path) -> UsageError:
  """What to say of a file of a run that cannot be read."""
  return UsageError(
    f"{path} is absent or damaged; the sweep's command makes it again"
  )


def _is_series(path: Path, length: int | None) -> bool:
  """Whether a file can be read, and has so many lines."""
  try:
    series = _read(path)
  except UsageError:
    return False
  lengths = {len(values) for values in series.values()}
  return bool(series) and (length is None or lengths == {length})


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
    _, *names = next(reader := csv.reader(io.StringIO(read_text(path))))
    values = np.array([row[1:] for row in reader], np.float64)
    return dict(zip(names, values.reshape(-1, len(names)).T, strict=True))
  except (OSError, ValueError, StopIteration, csv.Error) as error:
    raise absent_or_damaged(path) from error
