"""Settings compared by a metric: mean, deviation and number of seeds.

Rows are dicts by column, of numbers or of text.
"""

import collections
import difflib
import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from ae_jax.metrics.registry import more_is_better
from ae_jax.metrics.selection import criterion, number
from ae_jax.types import UsageError

Rows = Sequence[Mapping[str, Any]]

_ENDING = ("id", "status", "diverged_step")
_FIRST_RESULT = "loss"
_ROUNDING = 1e-12  # relative to the largest number of a column
_LEVEL = 0.05  # of calling settings worse that are not


class Summary(NamedTuple):
  """One metric of several trials.

  Attributes:
    mean: over the trials, in the unit of the metric.
    spread: their standard deviation (over n - 1); 0 of one.
    num_trials: n.
    num_lost: further trials, which diverged or lack the metric.
  """

  mean: float
  spread: float
  num_trials: int
  num_lost: int

  def __str__(self) -> str:
    spread = f" ± {self.spread:.1g}" if self.num_trials > 1 else ""
    lost = f" ({self.num_lost} lost)" if self.num_lost else ""
    return f"{self.mean:.3g}{spread}{lost}"

  def is_worse(self, best: "Summary", num_pairs: int, higher: bool) -> bool:
    """Whether a mean is worse than the best one by more than their noise.

    Welch's t-test, one-sided, at 5% for all pairs together (Bonferroni), as the
    best one was picked among them: its statistic is above the quantile of
    1 - 0.05 / `num_pairs`. Of a single trial the noise is not known: it is
    never worse.

    Args:
      best: what it is compared with; a spread of 0 has no noise.
      num_pairs: of the settings that are compared.
      higher: whether more is better.

    References:
      Welch, "The generalization of Student's problem when several different
      population variances are involved", 1947.
    """
    from scipy.special import stdtrit  # here: a page is not always drawn

    if min(self.num_trials, best.num_trials) < 2:
      return False
    difference = (best.mean - self.mean) * (1 if higher else -1)
    shares = [s.spread**2 / s.num_trials for s in (self, best)]
    if not sum(shares):
      return difference > 0
    degrees = sum(shares) ** 2 / sum(
      share**2 / (s.num_trials - 1)
      for share, s in zip(shares, (self, best), strict=True)
    )
    quantile = stdtrit(degrees, 1 - _LEVEL / num_pairs)
    return bool(difference > quantile * math.sqrt(sum(shares)))


def columns(rows: Iterable[Mapping[str, Any]]) -> list[str]:
  """The columns of all rows; one that only some have stands where they do."""
  names: list[str] = []
  for row in rows:
    at = 0
    for name in row:
      if name not in names:
        names.insert(at, name)
      at = names.index(name) + 1
  return names


def settings(rows: Rows) -> list[str]:
  """The columns that say what a trial is."""
  names = columns(rows)
  return [n for n in names[: names.index(_FIRST_RESULT)] if n not in _ENDING]


def varying(rows: Rows) -> list[str]:
  """The settings that differ between the rows."""
  return [
    name
    for name in settings(rows)
    if len({row.get(name, "") for row in rows}) > 1
  ]


def means(
  rows: Rows, by: str, axes: Sequence[str]
) -> dict[tuple[Any, ...], Summary]:
  """A metric at each combination of some settings, over all other settings."""
  cells = collections.defaultdict(list)
  for row in rows:
    value = number(row, by) if row["status"] == "ok" else None
    cells[tuple(row.get(axis) for axis in axes)].append(value)
  return {
    cell: _summary(kept, len(values) - len(kept))
    for cell, values in cells.items()
    if (kept := [value for value in values if value is not None])
  }


def ranked(rows: Rows, by: str) -> list[tuple[dict[str, Any], Summary]]:
  """All settings but the seed, with the metric over seeds, the best first.

  Those whose seeds have all ended well go before others.
  """
  sign = -1 if more_is_better(by) else 1
  names = [name for name in settings(rows) if name != "seed"]
  found = means(rows, by, names)
  order = sorted(
    found.items(),
    key=lambda item: (item[1].num_lost > 0, sign * item[1].mean, item[1]),
  )
  return [
    (dict(zip(names, cell, strict=True)), summary) for cell, summary in order
  ]


def summary(rows: Rows, by: str | None = None) -> list[dict[str, Any]]:
  """A table of settings over their seeds, see `Results.summary`.

  Raises:
    UsageError: no trial that ended well has the metric.
  """
  by = criterion(rows, by)
  order = ranked(rows, by)
  if not order:
    close = difflib.get_close_matches(by, columns(rows), n=1)
    hint = f"; did you mean {close[0]}?" if close and close[0] != by else ""
    raise UsageError(f"no trial that ended well has a number in {by!r}{hint}")
  best, higher = order[0][1], more_is_better(by)
  return [
    setting
    | {
      f"{by}_mean": own.mean,
      f"{by}_std": own.spread if own.num_trials > 1 else None,
      "num_seeds": own.num_trials,
      "num_lost": own.num_lost,
      "worse_than_best": None
      if min(own.num_trials, best.num_trials) < 2
      else own.is_worse(best, num_pairs(order), higher),
    }
    for setting, own in order
  ]


def without_rounding(
  values: Collection[float], others: Collection[float] = ()
) -> list[float]:
  """The values, 0 for those that are rounding errors of the largest one.

  The error of a PCA with all its components is 1e-14 or so, not 0.

  Args:
    values: of one column.
    others: of a column in the same unit, among which the largest one may be.
  """
  least = _ROUNDING * max(map(abs, (*values, *others)), default=0.0)
  return [value if abs(value) > least else 0.0 for value in values]


def num_pairs(compared: Collection[Any]) -> int:
  """Of settings that are compared, at least one."""
  return max(math.comb(len(compared), 2), 1)


def _summary(values: list[float], num_lost: int) -> Summary:
  n = len(values)
  mean = math.fsum(values) / n
  squares = math.fsum((value - mean) ** 2 for value in values)
  return Summary(mean, math.sqrt(squares / max(n - 1, 1)), n, num_lost)
