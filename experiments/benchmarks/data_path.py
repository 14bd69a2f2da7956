"""What it costs to feed a step."""

from collections.abc import Iterator

from ae_jax.data import to_float
from ae_jax.feed import Feed, InMemory
from experiments.benchmarks.problems import PROBLEMS
from experiments.benchmarks.program import prepare
from experiments.benchmarks.section import Options, Row, Section
from experiments.benchmarks.timing import interleaved


def _rows(options: Options) -> Iterator[Row]:
  name = "784-32-16"
  problem = PROBLEMS[name]
  num_trials = 2 if options.quick else 16
  images = problem.data()[:1000] if options.quick else problem.data()
  points = problem.points(num_trials)
  paths: dict[str, Feed] = {
    "in memory, uint8": InMemory(images),
    "in memory, float32": InMemory(to_float(images)),
  }
  steps = interleaved(
    {path: prepare(points, feed).work for path, feed in paths.items()},
    repeats=options.repeats,
    seconds=options.seconds,
  )
  for path, step in steps.items():
    yield {
      "data": path,
      "network": name,
      "trials": num_trials,
      "ms_per_trial_step": step.times(1e3 / num_trials),
      "times_uint8_in_memory": step.over(steps["in memory, uint8"]),
    }


SECTION = Section(
  "Data path",
  "The same trials from each path; bytes become floats inside the step.",
  _rows,
  lambda options: 2,
)
