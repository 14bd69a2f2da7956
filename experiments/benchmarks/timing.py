"""Times that can be compared: taken in turns, with their spread."""

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

Work = Callable[[int], None]  # does that many steps, and returns when done


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
  steps: int | None = None,
) -> dict[str, Spread]:
  """Seconds a step of each work: a round times one after the other.

  Args:
    works: name -> what to time.
    repeats: number of rounds.
    seconds: how long a work takes in a round, at the least.
    steps: how many steps a work does in a round; by default what `seconds`
      asks for.

  Returns:
    name -> seconds a step in each round.
  """
  counts = {
    name: steps or num_steps(work, seconds) for name, work in works.items()
  }
  for name, work in works.items():
    work(counts[name])
  rounds: list[dict[str, float]] = []
  for _ in range(repeats):
    rounds.append(
      {n: _seconds(work, counts[n]) / counts[n] for n, work in works.items()}
    )
  return {name: Spread(tuple(r[name] for r in rounds)) for name in works}


def num_steps(work: Work, seconds: float) -> int:
  """How many steps take that long; the first ones, which warm up, apart."""
  count = 1
  work(count)
  while (taken := _seconds(work, count)) < seconds / 4:
    count *= 4
  return max(1, round(count * seconds / taken))


def fastest(works: Sequence[Callable[[], None]], repeats: int) -> list[float]:
  """The least seconds of each, taken in turns: what bounds them from below."""
  rounds = [[_seconds(lambda _: w(), 1) for w in works] for _ in range(repeats)]  # noqa: B023
  return [min(times) for times in zip(*rounds, strict=True)]


def _seconds(work: Work, count: int) -> float:
  start = time.perf_counter()
  work(count)
  return time.perf_counter() - start
