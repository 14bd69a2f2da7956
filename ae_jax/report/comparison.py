"""Figures that compare objectives and settings by one metric."""

from collections.abc import Sequence

import plotly.graph_objects as go

from ae_jax.metrics import selection
from ae_jax.metrics.columns import NOISES
from ae_jax.metrics.registry import more_is_better
from ae_jax.report import trials
from ae_jax.report.figures import axis, escape, laid_out, line, shortened
from ae_jax.report.trials import TextRows
from ae_jax.run_folder.results import TextRow


def latent_sizes(rows: TextRows, by: str) -> go.Figure:
  """The metric against the latent size, a line an objective, PCA's in black.

  Each point is the best mean over seeds at that size; bars are the standard
  deviation over the seeds.
  """
  figure = go.Figure()
  shown = []
  for i, (name, own) in enumerate(trials.by_objective(rows).items()):
    cells = trials.over_seeds(own, by, ("latent_size",))
    own_sizes = trials.ordered(size for (size,) in cells)
    if not own_sizes:
      continue
    summaries = [cells[(size,)] for size in own_sizes]
    shown += [summary.mean for summary in summaries]
    figure.add_scatter(
      x=[int(size) for size in own_sizes],
      y=[summary.mean for summary in summaries],
      error_y={
        "array": [summary.spread for summary in summaries],
        "thickness": 1,
      },
      name=escape(name),
      **line(i),
    )
  baseline = trials.baseline(rows, by)
  if baseline:
    shown += baseline.values()
    figure.add_scatter(
      x=[*baseline],
      y=[*baseline.values()],
      name="PCA",
      line={"color": "#000000", "width": 2.5},
      marker={"symbol": "circle-open", "size": 9},
    )
  sizes = trials.latent_sizes(rows)
  return laid_out(
    figure,
    xaxis={
      "title": "latent size",
      "type": "log" if sizes[-1] / sizes[0] >= 8 else "linear",
      "tickvals": sizes,
      "ticktext": [*map(str, sizes)],
    },
    yaxis=axis(_with_unit(by), shown),
  )


def heat_map(rows: TextRows, by: str, strength: str) -> go.Figure:
  """The metric over latent size and one hyper-parameter of an objective."""
  cells = trials.over_seeds(rows, by, ("latent_size", strength))
  sizes = trials.ordered(row["latent_size"] for row in rows)
  strengths = trials.ordered(row[strength] for row in rows)
  grid = [[cells.get((size, value)) for size in sizes] for value in strengths]
  figure = go.Figure(
    go.Heatmap(
      x=[*map(escape, sizes)],
      y=[*map(escape, strengths)],
      z=[[cell and cell.mean for cell in line] for line in grid],
      text=[["" if c is None else str(c) for c in line] for line in grid],
      texttemplate="%{text}",
      textfont={"size": 11},
      colorscale="Cividis",
      reversescale=more_is_better(by),
      showscale=False,
      hovertemplate=(
        f"latent size %{{x}}<br>{escape(strength)} %{{y}}<br>%{{text}}"
        "<extra></extra>"
      ),
      xgap=2,
      ygap=2,
    )
  )
  return laid_out(
    figure,
    title={
      "text": escape(shortened(rows[0]["objective"])),
      "font": {"size": 14},
      "x": 0.5,
      "y": 0.98,
      "yanchor": "top",
    },
    margin={"l": 60, "r": 16, "t": 36, "b": 50},
    xaxis={"title": "latent size", "type": "category"},
    yaxis={
      "title": escape(strength),
      "type": "category",
      "tickvals": [*map(escape, strengths)],
      "ticktext": [escape(shortened(value)) for value in strengths],
    },
  )


def after_corruption(
  best: Sequence[TextRow], corruption: str
) -> go.Figure | None:
  """Error after a corruption of the input against its level, or None."""
  figure = go.Figure()
  shown: list[float] = []
  for i, row in enumerate(best):
    levels = {0.0: selection.number(row, "test_squared_error")} | {
      noise: selection.number(row, f"test_squared_error_{corruption}_{noise}")
      for noise in NOISES
    }
    if None not in levels.values():
      values = [value for value in levels.values() if value is not None]
      shown += values
      figure.add_scatter(
        x=[*levels], y=values, name=escape(row["objective"]), **line(i)
      )
  if not shown:
    return None
  return laid_out(
    figure,
    xaxis={"title": f"level of {corruption.replace('_', ' ')} noise"},
    yaxis=axis("squared error", shown),
  )


def _with_unit(metric: str) -> str:
  name, unit = trials.heading(metric), trials.unit(metric)
  return escape(name if not unit or unit in name else f"{name} ({unit})")
