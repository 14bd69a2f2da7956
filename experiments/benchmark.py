"""Measures how fast this machine trains autoencoders.

./launch.sh benchmark [--peers] [--quick] [--sections=NAME,...] ...

  --peers       also the same training in PyTorch and pythae; needs
                EXTRAS=peers ./launch.sh benchmark --peers
  --quick       little of everything, of a network of its own, in a minute or
                two: does it work?
  --sections    of trials, contractive, pca, data, loop, precision; all
  --networks    of digits-64-64-8, 784-32-16, 784-512-256-32,
                conv-16-32-16; all
  --objectives  for the trials, on the networks that they fit; default: all of
                them on the digits, autoencoder and vae on the other networks
  --trials      numbers of trials, such as 1,16; default: 1, 4, 16, 64, ...
                until four times as many are less than 1.1 times as fast, or
                are several runs of one program
  --repeats     rounds of each measurement; default: 5
  --output      a folder; default: runs/benchmark-DEVICE-DATE

Writes benchmark.md, a table of each section; benchmark.json, every repeat with
the versions and the device; and benchmark.png, trial-steps a second by number
of trials. Each row is on disk as soon as it is measured; one that fails says
why, the others go on, and the program ends with 1. Takes about ten minutes on
two cores. Anything else that runs on the machine meanwhile shows in the
numbers.
"""

import datetime
import re
import signal
import sys
import tempfile
from collections.abc import Collection, Sequence
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

import jax
from absl import flags

from ae_jax.cli import start
from ae_jax.environment import environment, use_all_cores
from ae_jax.objectives import OBJECTIVES
from ae_jax.types import UsageError
from experiments.benchmarks import (
  contractive,
  data_path,
  flops,
  loop,
  pca,
  peers,
  precision,
  problems,
  trials,
)
from experiments.benchmarks.results import BenchmarkFiles
from experiments.benchmarks.section import (
  BenchmarkSection,
  Measurement,
  Options,
  failed,
  must_stop,
)

SECTIONS = {
  "trials": trials.SECTION,
  "contractive": contractive.SECTION,
  "pca": pca.SECTION,
  "data": data_path.SECTION,
  "loop": loop.SECTION,
  "precision": precision.SECTION,
}
_BUSY = 0.1  # share of the processors from which others disturb


class BenchmarkPlan(NamedTuple):
  """A benchmark that has been checked and can start."""

  sections: dict[str, BenchmarkSection]
  options: Options
  output: Path


class Terminated(KeyboardInterrupt):
  """SIGTERM came."""


def main(argv: Sequence[str]) -> None:
  """Runs the program; exits with 2 and one line at a mistake of the user."""
  use_all_cores()
  plan = start.checked(prepare, argv, __doc__)
  # Or compilation would take what it takes to read a file.
  jax.config.update("jax_enable_compilation_cache", plan.options.quick)
  results = BenchmarkFiles(
    plan.sections, plan.output, environment() | _peer_versions(plan)
  )
  before = signal.getsignal(signal.SIGTERM)
  try:
    signal.signal(signal.SIGTERM, _terminate)
    measure(plan, results)
  except KeyboardInterrupt as error:
    _say_interrupted(results)
    sys.exit(143 if isinstance(error, Terminated) else 130)
  finally:
    signal.signal(signal.SIGTERM, before)
  report(results)
  if results.num_failed:
    print(
      f"error: {results.num_failed} of {results.num_rows} rows failed; their"
      " column `failed` says why",
      file=sys.stderr,
    )
    sys.exit(1)


def prepare(argv: Sequence[str]) -> BenchmarkPlan:
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
  objectives = values.objectives
  if objectives is not None:
    objectives = tuple(_chosen("objectives", objectives, OBJECTIVES))
  if values.peers:
    peers.check_installed()
  options = Options(
    problems={name: networks[name] for name in chosen},
    objectives=objectives or None,
    trials=_counts(values.trials) or ((2,) if quick else None),
    repeats=values.repeats or (1 if quick else 5),
    seconds=0.01 if quick else 0.4,
    quick=quick,
  )
  if "trials" in sections and not trials.SECTION.num_rows(options):
    raise UsageError("none of --objectives fits any of --networks")
  return BenchmarkPlan(
    {name: SECTIONS[name] for name in sections}
    | ({"peers": peers.SECTION} if values.peers else {}),
    options,
    _output(values.output),
  )


def measure(plan: BenchmarkPlan, results: BenchmarkFiles) -> None:
  """Measures all sections; progress goes to stderr."""
  quick = plan.options.quick
  total = sum(s.num_rows(plan.options) for s in plan.sections.values())
  results.peaks.append(flops.peak(quick))
  for name, section in plan.sections.items():
    try:
      for row in section.rows(plan.options):
        _add(results, name, row, total)
    except Exception as error:
      _add(results, name, failed(error), total)
      if must_stop(error):
        return
    results.peaks.append(flops.peak(quick))
    if name == "trials":
      results.draw()
  results.complete()


def report(results: BenchmarkFiles) -> None:
  """Prints the tables and where the files are."""
  print(results.markdown())
  print(*results.files, sep="\n")
  others = results.load_of_others
  if others > _BUSY:
    print(
      f"warning: other programs took {others:.0%} of the processors meanwhile;"
      " repeat this on an idle machine before you trust it",
      file=sys.stderr,
    )


def _add(
  results: BenchmarkFiles, section: str, row: Measurement, total: int
) -> None:
  results.add(section, row)
  done, seconds = results.num_rows, results.seconds
  left = max(0, total - done) * seconds / done
  print(
    f"{seconds:4.0f} s, about {left:.0f} s left; {section}: {_labels(row)}",
    file=sys.stderr,
  )


def _terminate(number: int, frame: FrameType | None) -> None:
  del number, frame
  raise Terminated


def _say_interrupted(results: BenchmarkFiles) -> None:
  where = ", ".join(map(str, results.files))
  what = f"what was measured is in {where}" if where else "nothing was measured"
  print(f"\ninterrupted: {what}", file=sys.stderr)


def _labels(row: Measurement) -> str:
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


def _peer_versions(plan: BenchmarkPlan) -> dict[str, Any]:
  if "peers" not in plan.sections:
    return {}
  from experiments.benchmarks import torch_peers

  return {"peers": torch_peers.versions()}


if __name__ == "__main__":
  start.run(main)
