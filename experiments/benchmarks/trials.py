"""How fast a sweep trains, by objective, network and number of trials."""

import itertools
from collections.abc import Iterator, Sequence

import jax

from ae_jax import grid
from ae_jax.objectives import OBJECTIVES
from experiments.benchmarks import flops, problems
from experiments.benchmarks.problems import Problem
from experiments.benchmarks.program import prepare
from experiments.benchmarks.section import Options, Row, Section
from experiments.benchmarks.timing import interleaved

_ALL_OBJECTIVES = "digits-64-64-8"  # on the others two, to save time
_TWO = ("autoencoder", "vae")
_MIN_GAIN = 1.1  # of the rate, from four times the trials
_ALWAYS = 16  # numbers of trials up to which the gain is not looked at


def _rows(options: Options) -> Iterator[Row]:
  for name, problem in options.problems.items():
    for objective in _objectives(name, options):
      rate = 0.0
      for num_trials in options.trials or _powers():
        row, runs = _row(name, problem, objective, num_trials, options)
        yield row
        before, rate = rate, row["trial_steps_per_s"]
        stale = runs > 1 or rate < _MIN_GAIN * before
        if options.trials is None and num_trials >= _ALWAYS and stale:
          break


def _row(
  name: str,
  problem: Problem,
  objective: str,
  num_trials: int,
  options: Options,
) -> tuple[Row, int]:
  data = problem.data()
  points = problem.points(num_trials, objective=objective)
  training = prepare(points, problem.feed())
  step = interleaved(
    {"step": training.work}, repeats=options.repeats, seconds=options.seconds
  )["step"]
  rate = num_trials / step.median
  layout = training.program.layout
  operations = flops.of_step(grid.resolve(points[:1])[0], data)
  stats = jax.devices()[0].memory_stats() or {}
  row = {
    "network": name,
    "objective": objective,
    "trials": num_trials,
    "at_once": f"{layout.devices} x {layout.block}",
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
  return row, training.num_runs


def with_share(rows: Sequence[Row], peak: float) -> list[Row]:
  """Rows with what share of the peak they reach, in FLOP/s both."""
  return [
    row | {"share_of_peak": 1e9 * row["gflop_per_s"] / peak} for row in rows
  ]


def _objectives(name: str, options: Options) -> Sequence[str]:
  every = name == _ALL_OBJECTIVES
  return options.objectives or (tuple(OBJECTIVES) if every else _TWO)


def _powers() -> Iterator[int]:
  return (4**i for i in itertools.count())


def _num_rows(options: Options) -> int:
  lines = sum(len(_objectives(name, options)) for name in options.problems)
  return lines * (len(options.trials) if options.trials else 3)


SECTION = Section(
  "Trials",
  "K trials that differ in their seed, trained as a sweep trains them. A step"
  " is one step of Adam on a batch of 128 of all trials, a trial-step that of"
  " one. At once: devices x trials of each, as the sweep chooses them."
  " Compilation is without any cache. FLOP/s: matrix products of forward"
  " and backward pass (conv, contractive: XLA's count of all operations); the"
  " peak is the best float32 matrix product of this run. Memory is that of the"
  " program by XLA's count: state, data, temporaries.",
  _rows,
  _num_rows,
)
