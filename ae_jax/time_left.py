"""How long a sweep will still take."""

import time
from collections.abc import Callable, Mapping

_SOON = 20.0  # seconds in which each kind may yet be seen
_FIRST = 0.6  # what comes after the first, which had to be compiled


class TimeLeft:
  """The sum, over kinds of work, of what is left and the time that one takes.

  Epochs and metric groups take different times, so each is a kind of its own.
  One takes its mean time; a kind that was never seen the least of the others.
  """

  def __init__(
    self,
    counts: Mapping[str, int],
    clock: Callable[[], float] = time.perf_counter,
  ):
    """Begins now.

    Args:
      counts: kind -> how many there are to do.
      clock: seconds.
    """
    self._left = dict(counts)
    self._seen: dict[str, list[tuple[float, int]]] = {}  # seconds, how many
    self._clock = clock
    self._begin = self._last = clock()

  @property
  def elapsed(self) -> float:
    """Seconds since the beginning."""
    return self._clock() - self._begin

  def did(self, kind: str, count: int) -> None:
    """So many were done since the last call."""
    taken = self._clock() - self._last, count
    self._seen.setdefault(kind, []).append(taken)
    self.skip(kind, count)

  def skip(self, kind: str, count: int) -> None:
    """So many need not be done; what was done since is done once alone."""
    self._left[kind] = max(self._left.get(kind, 0) - count, 0)
    self._last = self._clock()

  def seconds(self) -> float | None:
    """How long the rest takes; None where too little is known yet."""
    unseen = any(
      left for kind, left in self._left.items() if kind not in self._seen
    )
    if not self._seen or (unseen and self.elapsed < _SOON):
      return None
    each = {kind: _each(calls) for kind, calls in self._seen.items()}
    least = min(each.values())
    return sum(
      count * each.get(kind, least) for kind, count in self._left.items()
    )


def _each(calls: list[tuple[float, int]]) -> float:
  """Seconds that one takes."""
  seconds, counts = map(sum, zip(*calls, strict=True))
  return (_FIRST if len(calls) == 1 else 1.0) * seconds / max(counts, 1)
