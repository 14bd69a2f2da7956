"""What every section of the benchmark has in common."""

import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import jax

from ae_jax.engine.autotune import OutOfMemory
from experiments.benchmarks.problems import Problem

# Column -> value; a `Spread` where something was repeated. The unit is in the
# name of the column.
Measurement = dict[str, Any]


class Options(NamedTuple):
  """What to measure, and how thoroughly.

  Attributes:
    problems: name -> network and data.
    objectives: names; None leaves the choice to the section.
    trials: numbers of trials K; None goes on until more of them stop paying.
    repeats: rounds of a measurement.
    seconds: how long a round times each thing, at the least.
    quick: with little of everything, to see whether it works.
  """

  problems: Mapping[str, Problem]
  objectives: tuple[str, ...] | None
  trials: tuple[int, ...] | None
  repeats: int
  seconds: float
  quick: bool


class BenchmarkSection(NamedTuple):
  """One part of the benchmark.

  Attributes:
    title: its heading.
    note: what the rows compare, and what counts.
    rows: measures; a row as soon as it is there.
    num_rows: about how many there will be.
  """

  title: str
  note: str
  rows: Callable[[Options], Iterator[Measurement]]
  num_rows: Callable[[Options], int]


def attempt(
  labels: Measurement, measure: Callable[[], Iterable[Measurement]]
) -> list[Measurement]:
  """Rows that belong together, or one that says why there are none.

  Args:
    labels: what the row of a failure begins with.
    measure: the rows, once it is called.

  Raises:
    OutOfMemory: a CPU has no more memory, so that nothing may follow.
  """
  try:
    return [*measure()]
  except Exception as error:
    if must_stop(error):
      raise
    return [labels | failed(error)]


def failed(error: Exception) -> Measurement:
  """The column of a row that could not be measured: the reason, in a line."""
  reason = textwrap.shorten(f"{type(error).__name__}: {error}", 300)
  return {"failed": reason}


def must_stop(error: Exception) -> bool:
  """Whether what is measured after this error might be wrong."""
  return isinstance(error, OutOfMemory) and jax.default_backend() == "cpu"
