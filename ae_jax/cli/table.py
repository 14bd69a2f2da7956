"""The table that a run prints: the best trial of each kind, PCA beside it."""

from collections.abc import Iterable, Sequence

from ae_jax.metrics import selection
from ae_jax.over_seeds import without_rounding
from ae_jax.report.tables import settings
from ae_jax.run_folder.results import TextRow

_ERRORS = {
  "validation_squared_error": "validation error",
  "test_squared_error": "test error",
  "pca_test_squared_error": "PCA test",
}


def best_trials(rows: Iterable[TextRow]) -> list[TextRow]:
  """The best trial of each objective and latent size, by validation error."""
  rows = [*rows]
  by = selection.criterion(rows)
  groups: dict[str, dict[int, list[TextRow]]] = {}
  for row in rows:
    sizes = groups.setdefault(row["objective"], {})
    sizes.setdefault(int(row["latent_size"]), []).append(row)
  found = [
    selection.best(sizes[size], by)
    for sizes in groups.values()
    for size in sorted(sizes)
  ]
  return [row for row in found if row is not None]


def format_table(best: Sequence[TextRow], rows: Sequence[TextRow]) -> str:
  """Lays trials out in columns.

  Args:
    best: the trials to show.
    rows: all trials; a setting that does not vary among those of an objective
      stays out.
  """
  names = [name for name in _ERRORS if any(row.get(name) for row in best)]
  header = (*(_ERRORS[name] for name in names), "id", "settings")
  lines: list[tuple[str, ...]] = [("objective", "latent", *header)]
  errors = without_rounding([float(row[n]) for row in best for n in names])
  for i, row in enumerate(best):
    peers = [peer for peer in rows if peer["objective"] == row["objective"]]
    own = errors[i * len(names) : (i + 1) * len(names)]
    texts = [f"{error:.4g}" for error in own]
    lines.append(
      (row["objective"], row["latent_size"], *texts, row["id"],
       settings(row, peers))
    )  # fmt: skip
  widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
  numeric = range(1, 2 + len(names))
  return "\n".join(_format_line(line, widths, numeric) for line in lines)


def _format_line(
  line: Sequence[str], widths: Sequence[int], numeric: range
) -> str:
  cells = [
    cell.rjust(width) if i in numeric else cell.ljust(width)
    for i, (cell, width) in enumerate(zip(line, widths, strict=True))
  ]
  return "  ".join(cells).rstrip()
