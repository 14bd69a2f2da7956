"""Measures how fast this machine trains autoencoders.

./launch.sh benchmark [--peers] [--quick] [--sections=NAME,...] ...

  --peers       also the same training in PyTorch and pythae; needs
                EXTRAS=peers ./launch.sh benchmark --peers
  --quick       little of everything, of a network of its own, in a minute:
                does it work?
  --sections    of trials, contractive, pca, data, loop, precision; all
  --networks    of digits-64-64-8, 784-32-16, 784-512-256-32,
                conv-16-32-16; all
  --objectives  for the trials; default: all of them on the digits,
                autoencoder and vae on the other networks
  --trials      numbers of trials, such as 1,16; default: 1, 4, 16, 64, ...
                until four times as many are less than 1.1 times as fast, or
                are several runs of one program
  --repeats     rounds of each measurement; default: 5
  --output      a folder; default: runs/benchmark-DEVICE-DATE

Writes benchmark.md, a table of each section; benchmark.json, every repeat with
the versions and the device; and benchmark.png, trial-steps a second by number
of trials. Takes about ten minutes on two cores. Anything else that runs on the
machine meanwhile shows in the numbers.
"""

import datetime
import json
import os
import re
import sys
import tempfile
import time
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
from absl import flags

from ae_jax.atomic import replacing
from ae_jax.objectives import OBJECTIVES
from ae_jax.types import UsageError
from experiments import start
from experiments.benchmarks import (
  contractive,
  data_path,
  flops,
  loop,
  machine,
  pca,
  peers,
  precision,
  problems,
  table,
  trials,
)
from experiments.benchmarks.plot import plot
from experiments.benchmarks.section import Options, Row, Section
from experiments.environment import environment, use_all_cores

SECTIONS = {
  "trials": trials.SECTION,
  "contractive": contractive.SECTION,
  "pca": pca.SECTION,
  "data": data_path.SECTION,
  "loop": loop.SECTION,
  "precision": precision.SECTION,
}
_BUSY = 0.1  # share of the processors from which others disturb


class Run(NamedTuple):
  """A benchmark that has been checked and can start."""

  sections: dict[str, Section]
  options: Options
  output: Path


def main(argv: Sequence[str]) -> None:
  """Runs the program; exits with 2 and one line at a mistake of the user."""
  use_all_cores()
  run = start.checked(prepare, argv, __doc__)
  # Or compilation would take what it takes to read a file.
  jax.config.update("jax_enable_compilation_cache", run.options.quick)
  try:
    write(run, measure(run))
  except peers.UnequalWork as error:
    print(f"error: {error}", file=sys.stderr)
    sys.exit(1)
  except KeyboardInterrupt:
    print("\ninterrupted: nothing was written", file=sys.stderr)
    sys.exit(130)


def prepare(argv: Sequence[str]) -> Run:
  """Everything that can go wrong by a mistake of the user."""
  values = flags.FlagValues()
  for name in ("peers", "quick"):
    flags.DEFINE_bool(name, False, "", values)
  for name in ("sections", "networks", "objectives", "trials"):
    flags.DEFINE_list(name, None, "", values)
  flags.DEFINE_integer("repeats", None, "", 1, flag_values=values)
  flags.DEFINE_string("output", None, "", values)
  try:
    _, *stray = values(argv)
  except flags.Error as error:
    raise UsageError(" ".join(str(error).split())) from error
  if stray:
    raise UsageError(f"unexpected argument {stray[0]!r}")
  quick = values.quick
  sections = _chosen("sections", values.sections, SECTIONS)
  networks = problems.QUICK if quick else problems.PROBLEMS
  chosen = _chosen("networks", values.networks, networks)
  if values.objectives is not None:
    _chosen("objectives", values.objectives, OBJECTIVES)
  if values.peers:
    peers.check_installed()
  return Run(
    {name: SECTIONS[name] for name in sections}
    | ({"peers": peers.SECTION} if values.peers else {}),
    Options(
      problems={name: networks[name] for name in chosen},
      objectives=tuple(values.objectives or ())
      or (("autoencoder",) if quick else None),
      trials=_counts(values.trials) or ((1, 2) if quick else None),
      repeats=values.repeats or (2 if quick else 5),
      seconds=0.01 if quick else 0.4,
      quick=quick,
    ),
    _output(values.output),
  )


def measure(run: Run) -> dict[str, Any]:
  """Measures all sections; progress goes to stderr."""
  begin, others = time.perf_counter(), machine.Others()
  peaks = [flops.peak(run.options.quick)]
  measured: dict[str, list[Row]] = {}
  total = sum(s.num_rows(run.options) for s in run.sections.values())
  done = 0
  for name, section in run.sections.items():
    measured[name] = []
    for row in section.rows(run.options):
      measured[name].append(row)
      done += 1
      seconds = time.perf_counter() - begin
      left = max(0, total - done) * seconds / done
      print(
        f"{seconds:4.0f} s, about {left:.0f} s left; {name}: {_labels(row)}",
        file=sys.stderr,
      )
    peaks.append(flops.peak(run.options.quick))
  if "trials" in measured:
    measured["trials"] = trials.with_share(measured["trials"], max(peaks))
  return {
    "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    "processor": machine.processor(),
    "cores": os.cpu_count(),
    **environment(),
    **_peer_versions(run),
    "seconds": time.perf_counter() - begin,
    "cpu_share_of_others": others.share(),
    "peak_gflop_per_s": max(peaks) / 1e9,
    "peak_gflop_per_s_repeats": [peak / 1e9 for peak in peaks],
    "sections": measured,
  }


def write(run: Run, result: dict[str, Any]) -> None:
  """Writes the three files, prints the tables and where they are."""
  sections = result["sections"]
  text = "\n".join(_markdown(run, result))
  picture = plot(
    sections.get("trials", ()), sections.get("peers", ()), _header(result)
  )
  record = result | {
    "sections": {
      name: [table.plain(row) for row in rows]
      for name, rows in sections.items()
    }
  }
  print(text)
  files = {
    "benchmark.md": text.encode(),
    "benchmark.json": json.dumps(record, indent=1).encode(),
    "benchmark.png": picture,
  }
  for name, content in files.items():
    with replacing(run.output / name) as file:
      file.write(content)
  print("\n".join(str(run.output / name) for name in files))
  others = result["cpu_share_of_others"]
  if others > _BUSY:
    print(
      f"warning: other programs took {others:.0%} of the processors meanwhile;"
      " repeat this on an idle machine before you trust it",
      file=sys.stderr,
    )


def _markdown(run: Run, result: dict[str, Any]) -> list[str]:
  lines = ["# Benchmark", "", _header(result), ""]
  for name, section in run.sections.items():
    rows = result["sections"][name]
    lines += [f"## {section.title}", "", section.note, ""]
    lines += [table.markdown(rows), ""] if rows else []
  return lines


def _header(result: dict[str, Any]) -> str:
  versions = result["versions"]
  device = result["devices"][0]
  where = (
    f"{result['processor']}, {result['cores']} cores"
    if device.startswith("cpu")
    else device
  )
  return (
    f"{where}; jax {versions['jax']}, Python {versions['python']};"
    f" {result['date'][:10]}; peak {result['peak_gflop_per_s']:,.0f} GFLOP/s"
  )


def _labels(row: Row) -> str:
  return ", ".join(str(v) for v in row.values() if isinstance(v, str | int))


def _chosen(
  flag: str, given: Sequence[str] | None, allowed: Collection[str]
) -> list[str]:
  for name in given or ():
    if name not in allowed:
      raise UsageError(
        f"unknown {flag} {name!r}; allowed: {', '.join(allowed)}"
      )
  return list(dict.fromkeys(given or allowed))


def _counts(given: Sequence[str] | None) -> tuple[int, ...] | None:
  if given is None:
    return None
  if not given or not all(re.fullmatch("[1-9][0-9]{0,6}", n) for n in given):
    raise UsageError(f"--trials must be numbers like 1,16; got {given}")
  return tuple(sorted({int(n) for n in given}))


def _output(given: str | None) -> Path:
  if given == "":
    raise UsageError("--output is empty; name a folder")
  kind = re.sub(r"\W+", "-", jax.devices()[0].device_kind.lower())
  today = datetime.datetime.now(datetime.UTC).date()
  path = start.absolute(given or f"runs/benchmark-{kind}-{today}")
  try:
    path.mkdir(parents=True, exist_ok=True)
    tempfile.TemporaryFile(dir=path).close()
  except OSError as error:
    raise UsageError(f"cannot write {path}: {error.strerror}") from error
  return path


def _peer_versions(run: Run) -> dict[str, Any]:
  if "peers" not in run.sections:
    return {}
  from experiments.benchmarks import torch_peers

  return {"peers": torch_peers.versions()}


if __name__ == "__main__":
  start.run(main)
