"""Steps inside one program against a Python loop over a jitted step."""

import functools
from collections.abc import Iterator

import jax

from experiments.benchmarks.problems import Problem
from experiments.benchmarks.program import prepare, prepare_loop
from experiments.benchmarks.section import (
  BenchmarkSection,
  Measurement,
  Options,
  attempt,
)
from experiments.benchmarks.timing import interleaved


def _rows(options: Options) -> Iterator[Measurement]:
  for name, problem in _looping(options).items():
    for num_trials in _trials(options):
      labels = {"network": name, "trials": num_trials}
      measure = functools.partial(_row, problem, labels, options)
      yield from attempt(labels, measure)


def _row(
  problem: Problem, labels: Measurement, options: Options
) -> Iterator[Measurement]:
  points = problem.points(labels["trials"])
  steps = interleaved(
    {
      "program": prepare(points, problem.input_pipeline()).work,
      "loop": prepare_loop(points, problem.data()),
    },
    repeats=options.repeats,
    seconds=options.seconds,
  )
  yield labels | {
    "program_ms_per_step": steps["program"].times(1e3),
    "python_ms_per_step": steps["loop"].times(1e3),
    "python_times_program": steps["loop"].over(steps["program"]),
  }


def _looping(options: Options) -> dict[str, Problem]:
  """The networks whose programs take many steps at once."""
  return {
    name: problem
    for name, problem in options.problems.items()
    if problem.settings.get("network") != "conv"
    or jax.default_backend() != "cpu"
  }


def _trials(options: Options) -> tuple[int, ...]:
  return (2,) if options.quick else (1, 16)


SECTION = BenchmarkSection(
  "Loop in the program against Python loop",
  "Steps as a sweep runs them, many in one call of a program, against one call"
  " of a jitted and vmapped step after the other. On a CPU a sweep runs"
  " convolutional networks a step a call, so they are left out there.",
  _rows,
  lambda options: len(_looping(options)) * len(_trials(options)),
)
