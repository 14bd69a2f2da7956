"""What it costs to bring its examples to a step."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ae_jax.data import to_float
from ae_jax.data.on_disk import OnDisk
from ae_jax.engine.input_pipeline import InMemory, InputPipeline, Streamed
from experiments.benchmarks.problems import LEARNING_RATE, PROBLEMS, QUICK
from experiments.benchmarks.program import prepare
from experiments.benchmarks.section import (
  BenchmarkSection,
  Measurement,
  Options,
)
from experiments.benchmarks.timing import interleaved

_NAME = "784-32-16"


def _rows(options: Options) -> Iterator[Measurement]:
  problems = QUICK if options.quick else {_NAME: PROBLEMS[_NAME]}
  ((name, problem),) = problems.items()
  num_trials = 2 if options.quick else 16
  images = problem.data()
  points = [
    point | {"learning_rate": LEARNING_RATE * (1 + i / num_trials)}
    for i, point in enumerate(problem.points(1) * num_trials)
  ]
  with tempfile.TemporaryDirectory() as folder:
    file = Path(folder, "images.npy")
    np.save(file, images)
    paths: dict[str, InputPipeline] = {
      "in memory, uint8": InMemory(images),
      "in memory, float32": InMemory(to_float(images)),
      "streamed from a file, uint8": Streamed(OnDisk(file)),
    }
    steps = interleaved(
      {
        path: prepare(points, pipeline).work for path, pipeline in paths.items()
      },
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


SECTION = BenchmarkSection(
  "Data path",
  "Trials of one seed, which take the same minibatches and differ in their"
  " learning rate. Bytes become floats inside the step; the file is in the"
  " system's cache.",
  _rows,
  lambda options: 3,
)
