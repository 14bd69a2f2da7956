"""How fast a sweep trains, by objective, network and number of trials."""

import functools
import itertools
from collections.abc import Iterator, Sequence

import jax

from ae_jax import grid
from ae_jax.objectives import OBJECTIVES
from experiments.benchmarks import flops, problems
from experiments.benchmarks.problems import Problem
from experiments.benchmarks.program import prepare
from experiments.benchmarks.section import (
  BenchmarkSection,
  Measurement,
  Options,
  attempt,
)
from experiments.benchmarks.timing import interleaved

_ALL_OBJECTIVES = "digits-64-64-8"  # on the others two, to save time
_TWO = ("autoencoder", "vae")
_MLP_ONLY = ("layerwise",)
_MIN_GAIN = 1.1  # of the rate, from four times the trials
_ALWAYS = 16  # numbers of trials up to which the gain is not looked at


def _rows(options: Options) -> Iterator[Measurement]:
  for name, problem in options.problems.items():
    for objective in _objectives(name, options):
      labels = {"network": name, "objective": objective}
      yield from _of_objective(problem, labels, options)


def _of_objective(
  problem: Problem, labels: dict[str, str], options: Options
) -> Iterator[Measurement]:
  rate = 0.0
  for num_trials in options.trials or _powers():
    own = labels | {"trials": num_trials}
    (row,) = attempt(own, functools.partial(_row, problem, own, options))
    yield row
    if options.trials is not None:
      continue
    if "failed" in row:
      break
    before, rate = rate, row["trial_steps_per_s"]
    stale = row["runs"] > 1 or rate < _MIN_GAIN * before
    if num_trials >= _ALWAYS and stale:
      break


def _row(
  problem: Problem, labels: Measurement, options: Options
) -> Iterator[Measurement]:
  data, num_trials = problem.data(), labels["trials"]
  points = problem.points(num_trials, objective=labels["objective"])
  training = prepare(points, problem.input_pipeline())
  step = interleaved(
    {"step": training.work}, repeats=options.repeats, seconds=options.seconds
  )["step"]
  rate = num_trials / step.median
  placement = training.program.placement
  operations = flops.of_step(grid.resolve(points[:1])[0], data)
  stats = jax.devices()[0].memory_stats() or {}
  row = labels | {
    "at_once": f"{placement.devices} x {placement.trials_per_device}",
    "runs": training.num_runs,
    "compile_s": training.program.seconds,
    "ms_per_step": 1e3 * step.median,
    "ms_per_trial_step": step.times(1e3 / num_trials),
    "trial_steps_per_s": rate,
    "images_per_s": rate * problems.BATCH_SIZE,
    "gflop_per_s": 1e-9 * operations * rate,
    "memory_mib": training.program.memory_bytes / 2**20,
  }
  if "peak_bytes_in_use" in stats:
    row["process_peak_mib"] = stats["peak_bytes_in_use"] / 2**20
  yield row


def with_share(rows: Sequence[Measurement], peak: float) -> list[Measurement]:
  """Rows with what share of the peak they reach, in FLOP/s both."""
  return [
    row
    if "failed" in row
    else row | {"share_of_peak": 1e9 * row["gflop_per_s"] / peak}
    for row in rows
  ]


def _objectives(name: str, options: Options) -> Sequence[str]:
  every = options.quick or name == _ALL_OBJECTIVES
  network = options.problems[name].settings.get("network", "mlp")
  return [
    objective
    for objective in options.objectives or (OBJECTIVES if every else _TWO)
    if network == "mlp" or objective not in _MLP_ONLY
  ]


def _powers() -> Iterator[int]:
  return (4**i for i in itertools.count())


def _num_rows(options: Options) -> int:
  lines = sum(len(_objectives(name, options)) for name in options.problems)
  return lines * (len(options.trials) if options.trials else 3)


SECTION = BenchmarkSection(
  "Trials",
  "K trials that differ in their seed, trained as a sweep trains them. A step"
  " is one step of Adam on a batch of 128 of all trials, a trial-step that of"
  " one. At once: devices x trials of each, as the sweep chooses them; runs: of"
  " the program, until all are trained. A pair is one of the 128 and counts as"
  " one image. Compilation is without any cache. FLOP/s: matrix products of"
  " forward and backward pass; XLA's count of all operations for conv, labels,"
  " pairs, objectives with parameters of their own, contractive, iwae and"
  " layerwise. The peak is the best float32 matrix product of this run. Memory"
  " is that of the program by XLA's count: state, data, temporaries.",
  _rows,
  _num_rows,
)
