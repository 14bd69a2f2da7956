"""What all figures share: colors, ticks, labels.

Plotly reads a subset of HTML in every label, so that whatever comes from a file
goes through `escape`.
"""

import html
import math
from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go

# Okabe and Ito's colors that stand out on white, and gray; PCA is black.
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
MAX_TICKS = 12
_MAX_LETTERS = 16  # of a tick
_LOG_RATIO = 10.0


def axis_type(values: Sequence[float]) -> str:
  """Logarithmic for values above 0 that span more than a factor of ten."""
  if not values or min(values) <= 0:
    return "linear"
  return "log" if max(values) / min(values) > _LOG_RATIO else "linear"


def log_ticks(low: float, high: float) -> list[float]:
  """Up to `MAX_TICKS` of 1, 2, 5 times powers of ten, or of powers alone."""
  powers = range(math.floor(low), math.ceil(high) + 1)
  ticks = [p + math.log10(m) for p in powers for m in (1, 2, 5)]
  if len(ticks) > MAX_TICKS:
    ticks = [float(p) for p in powers[:: -(-len(powers) // MAX_TICKS)]]
  return [tick for tick in ticks if low <= tick <= high]


def style(index: int) -> tuple[str, str, str]:
  """Color, dash and marker of the i-th line; the first 210 differ."""
  return (
    COLORS[index % len(COLORS)],
    DASHES[index % len(DASHES)],
    SYMBOLS[index % len(SYMBOLS)],
  )


def shortened(text: str) -> str:
  """A value of a setting, cut where it is too long for a tick."""
  return text if len(text) <= _MAX_LETTERS else f"{text[: _MAX_LETTERS - 1]}…"


def escape(text: str) -> str:
  """Text for a label, in which Plotly reads a subset of HTML."""
  return html.escape(text, quote=False)


def line(index: int) -> dict:
  """How the i-th line is drawn."""
  color, dash, symbol = style(index)
  return {
    "line": {"color": color, "dash": dash, "width": 1.5},
    "marker": {"color": color, "symbol": symbol, "size": 8},
  }


def axis(title: str, shown: Sequence[float]) -> dict:
  """An axis, logarithmic where the values above 0 span a factor of ten."""
  kind = axis_type([value for value in shown if value > 0])
  if any(value < 0 for value in shown):
    kind = "linear"
  layout: dict[str, Any] = {
    "title": title,
    "type": kind,
    "exponentformat": "power",
  }
  if kind == "log":
    logs = [math.log10(value) for value in shown if value > 0]
    ticks = log_ticks(min(logs) - 0.15, max(logs) + 0.15)
    layout["tickvals"] = [10**tick for tick in ticks]
    layout["ticktext"] = [f"{10**tick:.3g}" for tick in ticks]
  return layout


def laid_out(figure: go.Figure, **layout: dict[str, Any]) -> go.Figure:
  """A figure in the style of the page."""
  grid: dict[str, Any] = {
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
      k: grid | v if k in ("xaxis", "yaxis") else v for k, v in layout.items()
    },
  )
