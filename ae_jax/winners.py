"""What is best at each latent size, in one sentence."""

from collections.abc import Mapping
from typing import Any

from ae_jax.metrics.registry import more_is_better
from ae_jax.metrics.selection import number
from ae_jax.over_seeds import (
  Rows,
  means,
  num_pairs,
  ranked,
  varying,
  without_rounding,
)


def sentence(rows: Rows, by: str) -> str:
  """What is best at each latent size, by the mean of a metric over seeds.

  A setting that is not further from the best one than the noise of the seeds is
  counted beside it; PCA's figure stands with each. Empty where no trial has the
  metric.

  Args:
    rows: of the table.
    by: the metric.
  """
  sizes = sorted({int(row["latent_size"]) for row in rows})
  parts = [
    part
    for size in sizes
    if (part := _of_size([r for r in rows if _size(r) == size], by, rows))
  ]
  if not parts:
    return ""
  seeds = max(s.num_trials for _, s in ranked(rows, by))
  over = f"mean ± deviation over {seeds} seeds"
  if seeds in (2, 3):
    over += ", so few that only large differences are told from noise"
  if seeds == 1:
    over = "of one seed each, whose noise is not known"
  return f"By {by.replace('_', ' ')}, {over}: {'; '.join(parts)}."


def _of_size(rows: Rows, by: str, all_rows: Rows) -> str:
  order = ranked(rows, by)
  if not order:
    return ""
  setting, best = order[0]
  higher = more_is_better(by)
  near = sum(
    not other.is_worse(best, num_pairs(order), higher) for _, other in order[1:]
  )
  known = near and best.num_trials > 1
  also = f" (and {near} more within the noise)" if known else ""
  number_of_units = _size(rows[0])
  size = f"at {number_of_units} unit{'s' if number_of_units > 1 else ''}"
  name = _named(setting, all_rows)
  own = f"{name} {best}{_test(setting, rows, by)}"
  values = (number(row, f"pca_{by}") for row in rows)
  pca = next((value for value in values if value is not None), None)
  if pca is None:
    return f"{size} {own}{also}"
  (pca,) = without_rounding([pca], [best.mean])
  if best.is_worse(best._replace(mean=pca, spread=0.0), 1, higher):
    return (
      f"{size} PCA {pca:.3g}, ahead of all networks, of which {own} is best"
    )
  return f"{size} {own}{also}, PCA {pca:.3g}"


def _named(setting: Mapping[str, Any], rows: Rows) -> str:
  """An objective, with those of its settings that vary."""
  peers = [row for row in rows if row["objective"] == setting["objective"]]
  names = [
    name
    for name in varying(peers)
    if name not in ("seed", "latent_size") and setting[name] not in ("", None)
  ]
  own = ", ".join(f"{name}={setting[name]}" for name in names)
  return f"{setting['objective']} ({own})" if own else setting["objective"]


def _test(setting: Mapping[str, Any], rows: Rows, by: str) -> str:
  """What the setting has on the test set, which did not choose it."""
  if not by.startswith("validation_"):
    return ""
  on_test = means(rows, by.replace("validation_", "test_", 1), [*setting])
  found = on_test.get((*setting.values(),))
  return "" if found is None else f" [test {found}]"


def _size(row: Mapping[str, Any]) -> int:
  return int(row["latent_size"])
