"""Interactive figures of a whole run, from the rows of its table.

Plotly reads a subset of HTML in every label, so that whatever comes from a
file goes through `_escape`.
"""

import html
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from ae_jax import ledger
from ae_jax.evaluation.measures import NOISES, more_is_better
from ae_jax.report import trials
from ae_jax.report.trials import Row, Rows

# Okabe and Ito's colours that stand out on white, and grey; PCA is black.
COLORS = (
  "#0072B2",
  "#D55E00",
  "#009E73",
  "#CC79A7",
  "#E69F00",
  "#56B4E9",
  "#767676",
)
DASHES = ("solid", "dash", "dot", "dashdot", "longdash")
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "x", "star")
_MAX_POINTS = 40_000  # of all learning curves together
_MAX_TICKS = 12
_MAX_LETTERS = 16  # of a tick
_LOG_RATIO = 10.0


def latent_sizes(rows: Rows, by: str) -> go.Figure:
  """The measure against the latent size, a line an objective, PCA's in black.

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
      name=_escape(name),
      **_line(i),
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
  return _laid_out(
    figure,
    xaxis={
      "title": "latent size",
      "type": "log" if sizes[-1] / sizes[0] >= 8 else "linear",
      "tickvals": sizes,
      "ticktext": [*map(str, sizes)],
    },
    yaxis=_axis(_with_unit(by), shown),
  )


def heat_map(rows: Rows, by: str, strength: str) -> go.Figure:
  """The measure over latent size and one hyper-parameter of an objective."""
  cells = trials.over_seeds(rows, by, ("latent_size", strength))
  sizes = trials.ordered(row["latent_size"] for row in rows)
  strengths = trials.ordered(row[strength] for row in rows)
  grid = [[cells.get((size, value)) for size in sizes] for value in strengths]
  figure = go.Figure(
    go.Heatmap(
      x=[*map(_escape, sizes)],
      y=[*map(_escape, strengths)],
      z=[[cell and cell.mean for cell in line] for line in grid],
      text=[["" if c is None else str(c) for c in line] for line in grid],
      texttemplate="%{text}",
      textfont={"size": 11},
      colorscale="Cividis",
      reversescale=more_is_better(by),
      showscale=False,
      hovertemplate=(
        f"latent size %{{x}}<br>{_escape(strength)} %{{y}}<br>%{{text}}"
        "<extra></extra>"
      ),
      xgap=2,
      ygap=2,
    )
  )
  return _laid_out(
    figure,
    title={
      "text": _escape(shortened(rows[0]["objective"])),
      "font": {"size": 14},
      "x": 0.5,
      "y": 0.98,
      "yanchor": "top",
    },
    margin={"l": 60, "r": 16, "t": 36, "b": 50},
    xaxis={"title": "latent size", "type": "category"},
    yaxis={
      "title": _escape(strength),
      "type": "category",
      "tickvals": [*map(_escape, strengths)],
      "ticktext": [_escape(shortened(value)) for value in strengths],
    },
  )


def parallel_coordinates(rows: Rows, by: str) -> go.Figure | None:
  """All trials that have the measure, a line each, coloured by it.

  Returns:
    None where there are fewer than two of them.
  """
  shown = [row for row in trials.ok(rows) if ledger.number(row, by) is not None]
  if len(shown) < 2:
    return None
  measures = dict.fromkeys(
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
    for name in measures
    if len(values := _column(shown, name)) == len(shown)
  ]
  colors = _column(shown, by)
  low, high = min(colors), max(colors)
  logarithmic = low > 0 and high / low > _LOG_RATIO
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
  return _laid_out(figure, margin={"l": left, "r": 50, "t": 50, "b": 24})


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
        look = _line(i)
        figure.add_scatter(
          x=x,
          y=y,
          mode="lines" if lasts else "markers",
          name=_escape(name),
          legendgroup=str(i),
          showlegend=is_best or not any(row["id"] in heavy for row in own),
          opacity=1.0 if is_best else 0.3,
          line=look["line"] | {"width": 2.5 if is_best else 1},
          marker=look["marker"],
          hovertemplate="epoch %{x}: %{y:.4g}",
        )
  if not shown:
    return None, term
  return _laid_out(
    figure,
    xaxis={"title": "epoch"},
    yaxis=_axis(f"{_escape(term)} (nats)", shown),
  ), term


def after_corruption(best: Sequence[Row], corruption: str) -> go.Figure | None:
  """Error after a corruption of the input against its level, or None."""
  figure = go.Figure()
  shown: list[float] = []
  for i, row in enumerate(best):
    levels = {0.0: ledger.number(row, "test_squared_error")} | {
      noise: ledger.number(row, f"squared_error_{corruption}_{noise}")
      for noise in NOISES
    }
    if None not in levels.values():
      values = [value for value in levels.values() if value is not None]
      shown += values
      figure.add_scatter(
        x=[*levels], y=values, name=_escape(row["objective"]), **_line(i)
      )
  if not shown:
    return None
  return _laid_out(
    figure,
    xaxis={"title": f"level of {corruption.replace('_', ' ')} noise"},
    yaxis=_axis("squared error", shown),
  )


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
        name=_escape(f"{row['objective']}, {row['latent_size']} units"),
        **_line(i),
      )
  if not shown:
    return None
  return _laid_out(
    figure, xaxis={"title": "rank of the unit"}, yaxis=_axis(title, shown)
  )


def axis_type(values: Sequence[float]) -> str:
  """Logarithmic for values above 0 that span more than a factor of ten."""
  if not values or min(values) <= 0:
    return "linear"
  return "log" if max(values) / min(values) > _LOG_RATIO else "linear"


def log_ticks(low: float, high: float) -> list[float]:
  """Up to `_MAX_TICKS` of 1, 2, 5 times powers of ten, or of powers alone."""
  powers = range(math.floor(low), math.ceil(high) + 1)
  ticks = [p + math.log10(m) for p in powers for m in (1, 2, 5)]
  if len(ticks) > _MAX_TICKS:
    ticks = [float(p) for p in powers[:: -(-len(powers) // _MAX_TICKS)]]
  return [tick for tick in ticks if low <= tick <= high]


def style(index: int) -> tuple[str, str, str]:
  """Colour, dash and marker of the i-th line; the first 210 differ."""
  return (
    COLORS[index % len(COLORS)],
    DASHES[index % len(DASHES)],
    SYMBOLS[index % len(SYMBOLS)],
  )


def _column(rows: Rows, name: str) -> list[float]:
  values = [ledger.number(row, name) for row in rows]
  return [value for value in values if value is not None]


def _setting_axis(rows: Rows, name: str) -> dict:
  """A place for each value; the first for trials that do not have it."""
  values = trials.ordered(row[name] for row in rows)
  if "" in values:
    values = ["", *(value for value in values if value)]
  step = max(1, -(-len(values) // _MAX_TICKS))
  ticks = range(0, len(values), step)
  return {
    "label": _escape(trials.words(name)),
    "values": [values.index(row[name]) for row in rows],
    "tickvals": [*ticks],
    # The only labels in which Plotly reads no HTML.
    "ticktext": [shortened(values[i] or "none") for i in ticks],
    "range": [-0.1, len(values) - 0.9],
  }


def _measure_axis(name: str, values: list[float]) -> dict:
  label = _escape(trials.words(name))
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


def shortened(text: str) -> str:
  """A value of a setting, cut where it is too long for a tick."""
  return text if len(text) <= _MAX_LETTERS else f"{text[: _MAX_LETTERS - 1]}…"


def _escape(text: str) -> str:
  return html.escape(text, quote=False)


def _with_unit(measure: str) -> str:
  name, unit = trials.words(measure), trials.unit(measure)
  return _escape(name if not unit or unit in name else f"{name} ({unit})")


def _line(index: int) -> dict:
  color, dash, symbol = style(index)
  return {
    "line": {"color": color, "dash": dash, "width": 1.5},
    "marker": {"color": color, "symbol": symbol, "size": 8},
  }


def _axis(title: str, shown: Sequence[float]) -> dict:
  """An axis, logarithmic where the values above 0 span a factor of ten."""
  kind = axis_type([value for value in shown if value > 0])
  if any(value < 0 for value in shown):
    kind = "linear"
  axis: dict[str, Any] = {
    "title": title,
    "type": kind,
    "exponentformat": "power",
  }
  if kind == "log":
    logs = [math.log10(value) for value in shown if value > 0]
    ticks = log_ticks(min(logs) - 0.15, max(logs) + 0.15)
    axis["tickvals"] = [10**tick for tick in ticks]
    axis["ticktext"] = [f"{10**tick:.3g}" for tick in ticks]
  return axis


def _laid_out(figure: go.Figure, **layout: dict[str, Any]) -> go.Figure:
  line: dict[str, Any] = {
    "gridcolor": "#e8e8e8",
    "linecolor": "#999999",
    "zeroline": False,
    "ticks": "outside",
    "tickcolor": "#999999",
    "automargin": True,
  }
  return figure.update_layout(
    template="none",
    font={"family": "system-ui, sans-serif", "size": 13},
    legend={"orientation": "h", "yanchor": "bottom", "y": 1.02, "x": 0},
    paper_bgcolor="rgba(0,0,0,0)",
    plot_bgcolor="rgba(0,0,0,0)",
    hovermode="closest",
    showlegend=True,
    **{"margin": {"l": 60, "r": 16, "t": 16, "b": 50}}
    | {
      k: line | v if k in ("xaxis", "yaxis") else v for k, v in layout.items()
    },
  )
