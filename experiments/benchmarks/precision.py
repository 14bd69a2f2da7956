"""Matrix products in the precisions that an accelerator has."""

import functools
from collections.abc import Iterator

import jax

from experiments.benchmarks.problems import Problem
from experiments.benchmarks.program import prepare
from experiments.benchmarks.section import (
  BenchmarkSection,
  Measurement,
  Options,
  attempt,
)
from experiments.benchmarks.timing import interleaved

_PRECISIONS = ("float32", "tensorfloat32", "bfloat16")


def _rows(options: Options) -> Iterator[Measurement]:
  if not _has_several():
    return
  for name, problem in options.problems.items():
    labels = {"network": name, "trials": 2 if options.quick else 64}
    measure = functools.partial(_of_network, problem, labels, options)
    yield from attempt(labels, measure)


def _of_network(
  problem: Problem, labels: Measurement, options: Options
) -> Iterator[Measurement]:
  num_trials = labels["trials"]
  works = {}
  for precision in _PRECISIONS:
    with jax.default_matmul_precision(precision):
      points = problem.points(num_trials)
      works[precision] = prepare(points, problem.input_pipeline()).work
  steps = interleaved(works, repeats=options.repeats, seconds=options.seconds)
  for precision, step in steps.items():
    yield labels | {
      "matrix_products": precision,
      "ms_per_trial_step": step.times(1e3 / num_trials),
      "times_float32": step.over(steps["float32"]),
    }


def _has_several() -> bool:
  return jax.default_backend() != "cpu"


SECTION = BenchmarkSection(
  "Precision",
  "By `jax.default_matmul_precision`; numbers stay float32 outside of matrix"
  " products. Does not apply to a CPU, which has float32 products only.",
  _rows,
  lambda options: len(_PRECISIONS) * len(options.problems) * _has_several(),
)
