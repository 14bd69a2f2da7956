"""What has been measured, on disk from the first row on."""

import datetime
import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ae_jax.atomic import replacing
from experiments.benchmarks import machine, table, trials
from experiments.benchmarks.plot import plot
from experiments.benchmarks.section import BenchmarkSection, Measurement


class BenchmarkFiles:
  """Rows of all sections; files that are whole at any moment.

  Attributes:
    rows: section -> its rows so far.
    peaks: best rates of a matrix product so far, in FLOP/s.
  """

  def __init__(
    self,
    sections: Mapping[str, BenchmarkSection],
    output: Path,
    environment: Mapping[str, Any],
  ):
    self.rows: dict[str, list[Measurement]] = {}
    self.peaks: list[float] = []
    self._sections, self._output = sections, output
    self._environment = environment
    self._begin, self._other_load = time.perf_counter(), machine.OtherLoad()
    self._complete = False

  @property
  def seconds(self) -> float:
    """Since the start."""
    return time.perf_counter() - self._begin

  @property
  def num_rows(self) -> int:
    """Measured or failed."""
    return sum(map(len, self.rows.values()))

  @property
  def num_failed(self) -> int:
    """Rows that could not be measured."""
    return sum("failed" in row for rows in self.rows.values() for row in rows)

  @property
  def files(self) -> list[Path]:
    """Those that are there."""
    names = ("benchmark.md", "benchmark.json", "benchmark.png")
    paths = [self._output / name for name in names]
    return [path for path in paths if path.exists()] if self.num_rows else []

  @property
  def load_of_others(self) -> float:
    """Of the processors, that other programs took meanwhile."""
    return self._other_load.share()

  def add(self, section: str, row: Measurement) -> None:
    """Takes a row, and keeps it."""
    if not self.num_rows:  # that of a run before shows other numbers
      (self._output / "benchmark.png").unlink(missing_ok=True)
    self.rows.setdefault(section, []).append(row)
    self.save()

  def save(self) -> None:
    """Writes all but the picture."""
    rows = {name: self._shown(name) for name in self.rows}
    record = self._record() | {
      "sections": {name: [table.plain(r) for r in rows[name]] for name in rows}
    }
    self._write("benchmark.json", json.dumps(record, indent=1).encode())
    self._write("benchmark.md", self.markdown().encode())

  def draw(self) -> None:
    """Writes the picture."""
    picture = plot(
      self.rows.get("trials", ()), self.rows.get("peers", ()), self._header()
    )
    self._write("benchmark.png", picture)

  def complete(self) -> None:
    """Writes all files, which say that nothing is missing."""
    self._complete = True
    for name in self._sections:
      self.rows.setdefault(name, [])
    self.save()
    self.draw()

  def markdown(self) -> str:
    """A table for each section."""
    lines = ["# Benchmark", "", self._header(), ""]
    if not self._complete:
      lines += ["Not complete: this is what was measured so far.", ""]
    for name in self.rows:
      section, rows = self._sections[name], self._shown(name)
      lines += [f"## {section.title}", "", section.note, ""]
      lines += [table.markdown(rows), ""] if rows else []
    return "\n".join(lines)

  def _shown(self, name: str) -> list[Measurement]:
    rows = self.rows[name]
    return (
      trials.with_share(rows, max(self.peaks)) if name == "trials" else rows
    )

  def _record(self) -> dict[str, Any]:
    now = datetime.datetime.now(datetime.UTC)
    return {
      "date": now.isoformat(timespec="seconds"),
      "complete": self._complete,
      "processor": machine.processor(),
      "cores": os.cpu_count(),
      **self._environment,
      "seconds": self.seconds,
      "cpu_load_of_others": self.load_of_others,
      "peak_gflop_per_s": max(self.peaks) / 1e9,
      "peak_gflop_per_s_repeats": [peak / 1e9 for peak in self.peaks],
    }

  def _header(self) -> str:
    record = self._record()
    versions = record["versions"]
    device = record["devices"][0]
    where = (
      f"{record['processor']}, {record['cores']} cores"
      if device.startswith("cpu")
      else device
    )
    return (
      f"{where}; jax {versions['jax']}, Python {versions['python']};"
      f" {record['date'][:10]}; peak {record['peak_gflop_per_s']:,.0f} GFLOP/s"
    )

  def _write(self, name: str, content: bytes) -> None:
    with replacing(self._output / name) as file:
      file.write(content)
