"""Times that can be compared: taken in turns, with their spread."""

import statistics
import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

_STRETCH = 4  # how much longer than asked for a round may be


class Work(NamedTuple):
  """Something to time.

  Attributes:
    steps: does that many, and returns when they are done.
    unit: how many steps belong together; a round takes whole ones where they
      are not too long.
  """

  steps: Callable[[int], None]
  unit: int = 1


class Spread(NamedTuple):
  """Repeats of one measurement, a number each round.

  Attributes:
    repeats: in the order of the rounds.
  """

  repeats: tuple[float, ...]

  @property
  def median(self) -> float:
    """The middle one."""
    return statistics.median(self.repeats)

  def times(self, factor: float) -> "Spread":
    """All repeats in another unit."""
    return Spread(tuple(factor * value for value in self.repeats))

  def over(self, other: "Spread") -> "Spread":
    """The ratio within each round, where a busy machine slows both."""
    pairs = zip(self.repeats, other.repeats, strict=True)
    return Spread(tuple(a / b for a, b in pairs))


def interleaved(
  works: Mapping[str, Work],
  *,
  repeats: int,
  seconds: float,
) -> dict[str, Spread]:
  """Seconds a step of each work: a round times one after the other.

  Args:
    works: name -> what to time.
    repeats: number of rounds.
    seconds: about how long a work takes in a round.

  Returns:
    name -> seconds a step in each round.
  """
  counts = {name: num_steps(work, seconds) for name, work in works.items()}
  for name, work in works.items():
    work.steps(counts[name])
  rounds: list[dict[str, float]] = []
  for _ in range(repeats):
    rounds.append(
      {n: _seconds(work, counts[n]) / counts[n] for n, work in works.items()}
    )
  return {name: Spread(tuple(r[name] for r in rounds)) for name in works}


def num_steps(work: Work, seconds: float) -> int:
  """How many steps take that long; the first ones, which warm up, apart."""
  count = 1
  work.steps(count)
  while (taken := _seconds(work, count)) < seconds / 4:
    count *= 4
  enough = max(1, round(count * seconds / taken))
  whole = -(-enough // work.unit) * work.unit
  return whole if whole <= _STRETCH * enough else enough


def _seconds(work: Work, count: int) -> float:
  start = time.perf_counter()
  work.steps(count)
  return time.perf_counter() - start
