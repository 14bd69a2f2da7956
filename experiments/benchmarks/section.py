"""What every section of the benchmark has in common."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from experiments.benchmarks.problems import Problem

# Column -> value; a `Spread` where something was repeated. The unit is in the
# name of the column.
Row = dict[str, Any]


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


class Section(NamedTuple):
  """One part of the benchmark.

  Attributes:
    title: its heading.
    note: what the rows compare, and what counts.
    rows: measures; a row as soon as it is there.
    num_rows: about how many there will be.
  """

  title: str
  note: str
  rows: Callable[[Options], Iterator[Row]]
  num_rows: Callable[[Options], int]
