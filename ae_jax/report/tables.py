"""Tables of the page, from the rows of a run."""

from collections.abc import Iterable, Mapping, Sequence

from ae_jax import over_seeds
from ae_jax.metrics import registry, selection
from ae_jax.metrics.columns import BASELINES, GROUPS
from ae_jax.report import trials
from ae_jax.report.blocks import Cell, Table
from ae_jax.report.trials import TextRows
from ae_jax.run_folder.results import TextRow


def best_trials(best: Sequence[TextRow], rows: TextRows, by: str) -> Table:
  """The best trial of each objective (and size), next to PCA.

  Args:
    best: the trials to show.
    rows: all trials; of the settings only those are shown that vary among the
      trials of an objective.
    by: the metric they were chosen by.
  """
  metrics = [by, f"pca_{by}", "validation_squared_error"]
  metrics += ["test_squared_error", "pca_test_squared_error"]
  present = [*dict.fromkeys(m for m in metrics if _any_number(best, m))]
  peers = trials.by_objective(rows)
  table = table_of(
    best,
    ["objective", "latent_size", *present, "id"],
    f"Best by {by.replace('_', ' ')}."
    " Errors: squared, summed over features, mean over examples.",
  )
  texts = [settings(row, peers[row["objective"]]) for row in best]
  return table._replace(
    columns=[*table.columns, "settings"],
    titles=[*table.titles, "settings that vary for this objective"],
    numeric=[*table.numeric, False],
    rows=[
      [*cells, Cell(text, text)]
      for cells, text in zip(table.rows, texts, strict=True)
    ],
  )


def settings(row: TextRow, peers: TextRows) -> str:
  """The settings of a trial that vary among those of its objective."""
  names = [name for name in over_seeds.varying(peers) if name != "latent_size"]
  return " ".join(f"{name}={row[name]}" for name in names if row[name] != "")


def all_trials(rows: TextRows, by: str) -> Table:
  """Every trial: what varies among them, and every number of its own."""
  first = [by, "validation_squared_error", "test_squared_error"]
  first += ["pca_test_squared_error"]
  columns = dict.fromkeys(["id", "objective", "latent_size"])
  columns |= dict.fromkeys(n for n in first if _any_number(rows, n))
  columns |= dict.fromkeys(["status", *over_seeds.varying(rows)])
  columns |= dict.fromkeys(
    n for n in trials.result_columns(rows) if _any_number(rows, n)
  )
  return table_of(
    rows,
    [*columns],
    "All trials; settings that are the same for all are left out. A click on"
    " a heading sorts.",
    sortable=True,
  )


def diverged(rows: TextRows) -> Table:
  """The trials that diverged, and when."""
  columns = ["id", "objective", "latent_size", "diverged_step"]
  columns += [n for n in over_seeds.varying(rows) if n not in columns]
  return table_of(
    [row for row in rows if row["status"] != "ok"],
    columns,
    "The step, from 0, at which loss, gradient or error stopped being finite."
    " The trial was frozen there.",
  )


def group_table(
  best: Sequence[TextRow], name: str, caption: str
) -> Table | None:
  """One group of metrics, next to those of PCA and of the data themselves.

  Args:
    best: the trials to show.
    name: in `GROUPS`.
    caption: of the table.

  Returns:
    None where nothing of it was measured.
  """
  group = (GROUPS | registry.OWN_GROUPS)[name]
  columns = [
    column
    for metric in group
    if _any_number(best, metric)
    for column in (metric, *(f"{of}{metric}" for of in BASELINES))
    if _any_number(best, column)
  ]
  if not columns:
    return None
  table = table_of(
    [row for row in best if any(row.get(name) for name in columns)],
    ["objective", "latent_size", *columns],
    caption,
  )
  short = {f"pca_{n}": "PCA" for n in group}
  short |= {f"pixels_{n}": "the data" for n in group}
  short |= {f"isolation_forest_{n}": "isolation forest" for n in group}
  short |= {f"train_mean_{n}": "the mean" for n in group}
  headings = zip(table.columns[2:], columns, strict=True)
  return table._replace(
    columns=[*table.columns[:2], *(short.get(n, text) for text, n in headings)]
  )


def pairs(values: Mapping[str, object], caption: str) -> Table:
  """Names and values."""
  return Table(
    caption,
    columns=["", ""],
    titles=["", ""],
    numeric=[False, False],
    rows=[
      [Cell(name, name), Cell(str(value), str(value))]
      for name, value in values.items()
    ],
  )


def table_of(
  rows: TextRows, columns: Sequence[str], caption: str, sortable: bool = False
) -> Table:
  """The given columns of the given rows."""
  cells = [_cells(rows, name) for name in columns]
  return Table(
    caption,
    columns=[trials.heading(name) for name in columns],
    titles=[_title(name) for name in columns],
    numeric=[_is_numeric(rows, name) for name in columns],
    rows=[list(line) for line in zip(*cells, strict=True)],
    sortable=sortable,
  )


def _title(name: str) -> str:
  metric = registry.column(name)
  if metric is None:
    return name
  better = f", {metric.better} is better" if metric.better else ""
  return f"{name}: {metric.meaning} ({metric.unit}{better})"


def _cells(rows: TextRows, name: str) -> list[Cell]:
  """One column, its results rounded to four digits."""
  texts = [row.get(name, "") for row in rows]
  if name == "id":
    return [Cell(text, text) for text in texts]
  numbers = [selection.number(row, name) for row in rows]
  if registry.column(name) is None and not any("." in text for text in texts):
    return [Cell(text, text) for text in texts]
  finite = [value for value in numbers if value is not None]
  models = [selection.number(row, name.removeprefix("pca_")) for row in rows]
  others = [value for value in models if value is not None]
  rounded = iter(over_seeds.without_rounding(finite, others))
  return [
    Cell(text, text) if value is None else Cell(f"{next(rounded):.4g}", text)
    for text, value in zip(texts, numbers, strict=True)
  ]


def _is_numeric(rows: TextRows, name: str) -> bool:
  present = [row for row in rows if row.get(name)]
  return (
    name != "id"
    and bool(present)
    and all(_is_number(row[name]) for row in present)
  )


def _is_number(text: str) -> bool:
  try:
    float(text)
  except ValueError:
    return False
  return True


def _any_number(rows: Iterable[TextRow], name: str) -> bool:
  return any(selection.number(row, name) is not None for row in rows)
