"""Interactive figures of a whole run, from the rows of its table."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import plotly.graph_objects as go

from ae_jax.metrics import selection
from ae_jax.metrics.registry import NOISES, STEPS, more_is_better
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
from ae_jax.report.trials import Row, Rows

_MAX_POINTS = 40_000  # of all learning curves together


def latent_sizes(rows: Rows, by: str) -> go.Figure:
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


def heat_map(rows: Rows, by: str, strength: str) -> go.Figure:
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


def parallel_coordinates(rows: Rows, by: str) -> go.Figure | None:
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
      "test_squared_error",
      "probe_accuracy",
      "jacobian_norm",
      "test_kl_nats",
      by,
    )
  )
  varying = trials.varying(shown)
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
  rows: Rows,
  histories: Mapping[str, Mapping[str, np.ndarray]],
  best: Sequence[Row],
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


def after_corruption(best: Sequence[Row], corruption: str) -> go.Figure | None:
  """Error after a corruption of the input against its level, or None."""
  figure = go.Figure()
  shown: list[float] = []
  for i, row in enumerate(best):
    levels = {0.0: selection.number(row, "test_squared_error")} | {
      noise: selection.number(row, f"squared_error_{corruption}_{noise}")
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


def rate_distortion(rows: Rows, by: str) -> go.Figure | None:
  """Error against rate over latent size and step, an objective a color.

  Dots are the best trials of each latent size at each step, the line joins
  those that no other one beats in both; PCA's is black. None without rates.
  """
  figure = go.Figure()
  shown: list[float] = []

  def add(points: list[tuple[float, float, str]], name: str, look: dict):
    best: list[tuple[float, float, str]] = []
    for point in sorted(points):
      if not best or point[1] < best[-1][1]:
        best.append(point)
    shown.extend(point[1] for point in points)
    for i, (mode, some) in enumerate((("markers", points), ("lines", best))):
      rates, errors, words = zip(*some, strict=True)
      figure.add_scatter(
        **look
        | {"x": rates, "y": errors, "text": words, "mode": mode}
        | {"name": name, "legendgroup": name, "showlegend": i == 1},
        opacity=0.4 if i == 0 else 1.0,
        hovertemplate="%{text}<br>%{x:.4g} bits/dim: %{y:.4g}",
      )

  sizes = trials.latent_sizes(rows)
  sized: dict[str, list[Row]] = {}
  for name, own in trials.by_objective(rows).items():
    found = [
      selection.best([row for row in own if row["latent_size"] == str(n)], by)
      for n in sizes
    ]
    sized[name] = [row for row in found if row is not None]
    points = [p for row in sized[name] for p in _rated(row, "")]
    if points:
      add(points, escape(name), line(len(sized) - 1))
  of_size = {row["latent_size"]: row for own in sized.values() for row in own}
  points = [p for row in of_size.values() for p in _rated(row, "pca_")]
  if points:
    add(
      points,
      "PCA",
      {"line": {"color": "#000000"}, "marker": {"color": "#000000"}},
    )
  if not shown:
    return None
  return laid_out(
    figure,
    xaxis={"title": "rate (bits/dim)"},
    yaxis=axis("squared error", shown),
  )


def _rated(row: Row, prefix: str) -> list[tuple[float, float, str]]:
  """Rate, error and what it is, at each step."""
  points = []
  for step in STEPS:
    rate = selection.number(row, f"{prefix}rate_at_bin_{step}")
    error = selection.number(row, f"{prefix}squared_error_at_bin_{step}")
    if rate is not None and error is not None:
      words = f"{escape(row['latent_size'])} units, step {step}"
      points.append((rate, error, words))
  return points


def spectrum(
  best: Sequence[Row],
  units: Mapping[str, Mapping[str, np.ndarray]],
  name: str,
  title: str,
) -> go.Figure | None:
  """One number of each code unit, largest first, or None without any."""
  figure = go.Figure()
  shown: list[float] = []
  for i, row in enumerate(best):
    values = units.get(row["id"], {}).get(name)
    if values is not None:
      falling = np.sort(values[np.isfinite(values)])[::-1].tolist()
      shown += falling
      figure.add_scatter(
        x=[*range(1, len(falling) + 1)],
        y=falling,
        name=escape(f"{row['objective']}, {row['latent_size']} units"),
        **line(i),
      )
  if not shown:
    return None
  return laid_out(
    figure, xaxis={"title": "rank of the unit"}, yaxis=axis(title, shown)
  )


def _column(rows: Rows, name: str) -> list[float]:
  values = [selection.number(row, name) for row in rows]
  return [value for value in values if value is not None]


def _setting_axis(rows: Rows, name: str) -> dict:
  """A place for each value; the first for trials that do not have it."""
  values = trials.ordered(row[name] for row in rows)
  if "" in values:
    values = ["", *(value for value in values if value)]
  step = max(1, -(-len(values) // MAX_TICKS))
  ticks = range(0, len(values), step)
  return {
    "label": escape(trials.words(name)),
    "values": [values.index(row[name]) for row in rows],
    "tickvals": [*ticks],
    # The only labels in which Plotly reads no HTML.
    "ticktext": [shortened(values[i] or "none") for i in ticks],
    "range": [-0.1, len(values) - 0.9],
  }


def _measure_axis(name: str, values: list[float]) -> dict:
  label = escape(trials.words(name))
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


def _with_unit(metric: str) -> str:
  name, unit = trials.words(metric), trials.unit(metric)
  return escape(name if not unit or unit in name else f"{name} ({unit})")
