"""The section of the page that shows the metrics of the best trials."""

from collections.abc import Iterator

import plotly.graph_objects as go

from ae_jax.metrics.columns import CORRUPTIONS
from ae_jax.metrics.registry import OWN_GROUPS
from ae_jax.report import comparison, tables, units
from ae_jax.report.blocks import Block, Plot, Section
from ae_jax.report.run_record import RunRecord
from ae_jax.rows import groups_of

_TABLES = {
  "features": (
    "How well the codes separate the classes: accuracies are shares of the"
    " test set, a silhouette lies in -1 ... 1. PCA has as many components."
  ),
  "neighbors": (
    "Search of the train set by the nearest codes: shares of what is found"
    " that has the class of the test example."
  ),
  "activity": "The codes of the held-out examples.",
  "imputation": (
    "Reconstruction of entries that are hidden from the model, though they are"
    " there: squared error, mean over a share of the entries of test examples."
  ),
  "likelihood": "The likelihood of the test examples, mean.",
  "anomaly": (
    "How well test examples of the classes that are held out of training are"
    " told from others, by their error: 0.5 of an area under the ROC says not"
    " at all, and their share of an average precision."
  ),
  "disentanglement": (
    "How far each unit stands for one factor of the data, by several metrics."
  ),
}
_SPECTRA = {
  "kl": (
    "KL (nats)",
    "KL(q(z|x) || p(z)) of each unit, mean over held-out codes.",
  ),
  "singular_value": (
    "singular value",
    "Singular values of the encoder's Jacobian, mean over held-out examples.",
  ),
}


def section(run: RunRecord) -> Section:
  """Tables and figures of what was measured; empty where nothing was."""
  blocks: list[Block] = []
  for group, caption in _TABLES.items():
    table = tables.group_table(run.best, group, caption)
    if table is not None:
      blocks.append(table)
  for group in _own_groups(run):
    caption = f"The metric {group.partition('@')[0]}."
    table = tables.group_table(run.best, group, caption)
    if table is not None:
      blocks.append(table)
  blocks += _figures(run)
  return Section("Evaluation", "Of the best trial of each objective.", blocks)


def _own_groups(run: RunRecord) -> list[str]:
  """A user's metrics, the last version of each."""
  found = {
    group.partition("@")[0]: group
    for row in run.rows
    for group in groups_of(row)
    if group in OWN_GROUPS
  }
  return [*found.values()]


def _figures(run: RunRecord) -> Iterator[Plot]:
  for corruption in CORRUPTIONS:
    figure = comparison.after_corruption(run.best, corruption)
    caption = (
      f"Squared error after {corruption.replace('_', ' ')} noise on the"
      " input, against the clean test examples."
    )
    if figure is not None:
      yield _half(caption, figure)
  for row in run.best:
    figure = units.information(row, run.units.get(row["id"], {}))
    if figure is not None:
      caption = "Mutual information of code units and factors, in nats."
      yield _half(caption, figure)
  for name, (title, caption) in _SPECTRA.items():
    figure = units.spectrum(run.best, run.units, name, title)
    if figure is not None:
      yield _half(caption, figure)


def _half(caption: str, figure: go.Figure) -> Plot:
  return Plot(caption, figure, 340, wide=False)
