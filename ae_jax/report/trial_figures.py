"""Figures with one line a trial: settings and metrics, learning curves."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import plotly.graph_objects as go

from ae_jax import over_seeds
from ae_jax.metrics import selection
from ae_jax.metrics.registry import more_is_better
from ae_jax.report import trials
from ae_jax.report.figures import (
  MAX_TICKS,
  axis,
  axis_type,
  escape,
  laid_out,
  line,
  log_ticks,
  shortened,
)
from ae_jax.report.trials import TextRows
from ae_jax.run_folder.results import TextRow

_MAX_POINTS = 40_000  # of all learning curves together


def parallel_coordinates(rows: TextRows, by: str) -> go.Figure | None:
  """All trials that have the metric, a line each, colored by it.

  Returns:
    None where there are fewer than two of them.
  """
  shown = [
    row for row in trials.ok(rows) if selection.number(row, by) is not None
  ]
  if len(shown) < 2:
    return None
  metrics = dict.fromkeys(
    (
      "train_squared_error",
      "validation_squared_error",
      "validation_probe_accuracy",
      "validation_relative_jacobian_norm",
      "validation_kl_nats",
      by,
    )
  )
  varying = over_seeds.varying(shown)
  dimensions = [_setting_axis(shown, name) for name in varying]
  dimensions += [
    _measure_axis(name, values)
    for name in metrics
    if len(values := _column(shown, name)) == len(shown)
  ]
  colors = _column(shown, by)
  logarithmic = axis_type(colors) == "log"
  figure = go.Figure(
    go.Parcoords(
      dimensions=dimensions,
      line={
        "color": [*map(math.log10, colors)] if logarithmic else colors,
        "colorscale": "Viridis",
        "reversescale": more_is_better(by),
      },
      labelfont={"size": 12},
      tickfont={"size": 11},
      rangefont={"size": 1, "color": "rgba(0,0,0,0)"},
      labelside="top",
    )
  )
  longest = max(map(len, dimensions[0]["ticktext"])) if varying else 0
  left = 24 + 6 * min(max(longest, 8), 30)
  return laid_out(figure, margin={"l": left, "r": 50, "t": 50, "b": 24})


def learning_curves(
  rows: TextRows,
  histories: Mapping[str, Mapping[str, np.ndarray]],
  best: Sequence[TextRow],
) -> tuple[go.Figure | None, str]:
  """Learning curves of all trials, those of the best ones drawn heavier.

  Args:
    rows: of the trials.
    histories: id -> term -> `[num_epochs]`.
    best: rows to point out.

  Returns:
    The figure, None where no epoch ended well, and the term it shows: the
    reconstruction, where all have it.
  """
  term = "reconstruction"
  if not all(term in history for history in histories.values()):
    term = "loss"
  num_points = sum(len(histories[row["id"]][term]) for row in rows)
  stride = max(1, -(-num_points // _MAX_POINTS))
  figure = go.Figure()
  heavy = {row["id"] for row in best}
  lasts = any(len(history[term]) > 1 for history in histories.values())
  shown: list[float] = []
  for i, (name, own) in enumerate(trials.by_objective(rows).items()):
    for is_best in (False, True):
      x: list[float | None] = []
      y: list[float | None] = []
      for row in own:
        if (row["id"] in heavy) is is_best:
          curve = histories[row["id"]][term]
          epochs = sorted({*range(0, len(curve), stride), len(curve) - 1})
          values = [_finite(curve[epoch]) for epoch in epochs]
          shown += [value for value in values if value is not None]
          x += [*(epoch + 1 for epoch in epochs), None]
          y += [*values, None]
      if x:
        look = line(i)
        figure.add_scatter(
          x=x,
          y=y,
          mode="lines" if lasts else "markers",
          name=escape(name),
          legendgroup=str(i),
          showlegend=is_best or not any(row["id"] in heavy for row in own),
          opacity=1.0 if is_best else 0.3,
          line=look["line"] | {"width": 2.5 if is_best else 1},
          marker=look["marker"],
          hovertemplate="epoch %{x}: %{y:.4g}",
        )
  if not shown:
    return None, term
  return laid_out(
    figure,
    xaxis={"title": "epoch"},
    yaxis=axis(f"{escape(term)} (nats)", shown),
  ), term


def _column(rows: TextRows, name: str) -> list[float]:
  values = [selection.number(row, name) for row in rows]
  return [value for value in values if value is not None]


def _setting_axis(rows: TextRows, name: str) -> dict:
  """A place for each value; the first for trials that do not have it."""
  values = trials.ordered(row[name] for row in rows)
  if "" in values:
    values = ["", *(value for value in values if value)]
  step = max(1, -(-len(values) // MAX_TICKS))
  ticks = range(0, len(values), step)
  return {
    "label": escape(trials.heading(name)),
    "values": [values.index(row[name]) for row in rows],
    "tickvals": [*ticks],
    # The only labels in which Plotly reads no HTML.
    "ticktext": [shortened(values[i] or "none") for i in ticks],
    "range": [-0.1, len(values) - 0.9],
  }


def _measure_axis(name: str, values: list[float]) -> dict:
  label = escape(trials.heading(name))
  if axis_type(values) != "log":
    return {"label": label, "values": values}
  logs = [*map(math.log10, values)]
  ticks = log_ticks(min(logs), max(logs))
  return {
    "label": label,
    "values": logs,
    "tickvals": ticks,
    "ticktext": [f"{10**tick:.3g}" for tick in ticks],
  }


def _finite(value: float) -> float | None:
  return float(f"{value:.5g}") if math.isfinite(value) else None
