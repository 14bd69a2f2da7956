"""The table that a run prints: the best trial of each kind, PCA beside it."""

from collections.abc import Iterable, Sequence

from ae_jax.metrics import selection
from ae_jax.report.tables import settings
from ae_jax.report.trials import without_rounding
from ae_jax.run_folder.results import TextRow

_HEADER = (
  "objective", "latent", "train error", "test error", "PCA test", "id",
  "settings",
)  # fmt: skip
_ERRORS = (
  "train_squared_error", "test_squared_error", "pca_test_squared_error",
)  # fmt: skip
_NUMERIC = slice(1, 5)


def best_trials(rows: Iterable[TextRow]) -> list[TextRow]:
  """The trial of least test error for each objective and latent size."""
  groups: dict[str, dict[int, list[TextRow]]] = {}
  for row in rows:
    sizes = groups.setdefault(row["objective"], {})
    sizes.setdefault(int(row["latent_size"]), []).append(row)
  found = [
    selection.best(sizes[size], "test_squared_error")
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
  lines: list[tuple[str, ...]] = [_HEADER]
  errors = without_rounding([float(row[n]) for row in best for n in _ERRORS])
  for i, row in enumerate(best):
    peers = [peer for peer in rows if peer["objective"] == row["objective"]]
    own = errors[i * len(_ERRORS) : (i + 1) * len(_ERRORS)]
    texts = [f"{error:.4g}" for error in own]
    lines.append(
      (row["objective"], row["latent_size"], *texts, row["id"],
       settings(row, peers))
    )  # fmt: skip
  widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
  return "\n".join(_format_line(line, widths) for line in lines)


def _format_line(line: Sequence[str], widths: Sequence[int]) -> str:
  numeric = range(*_NUMERIC.indices(len(line)))
  cells = [
    cell.rjust(width) if i in numeric else cell.ljust(width)
    for i, (cell, width) in enumerate(zip(line, widths, strict=True))
  ]
  return "  ".join(cells).rstrip()
