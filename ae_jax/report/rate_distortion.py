"""Rate and distortion: error against the bits that codes take."""

from typing import Any, NamedTuple

import plotly.graph_objects as go

from ae_jax.metrics import selection
from ae_jax.metrics.columns import STEPS
from ae_jax.report import trials
from ae_jax.report.figures import axis, escape, laid_out, line
from ae_jax.report.trials import TextRows
from ae_jax.run_folder.results import TextRow

_BLACK: dict[str, Any] = {
  "line": {"color": "#000000"},
  "marker": {"color": "#000000"},
}


class _Point(NamedTuple):
  """One trial at one step of rounding.

  Attributes:
    rate: bits a feature.
    error: squared error.
    text: shown under the pointer.
  """

  rate: float
  error: float
  text: str


def rate_distortion(rows: TextRows, by: str) -> go.Figure | None:
  """Error against rate over latent size and step, an objective a color.

  Dots are the best trials of each latent size at each step; the line joins
  the Pareto front. PCA's is black. None without rates.
  """
  figure = go.Figure()
  errors: list[float] = []
  best_of_size: dict[str, TextRow] = {}
  for i, (name, own) in enumerate(trials.by_objective(rows).items()):
    best = _best_of_each_size(own, by)
    best_of_size |= best
    points = [p for row in best.values() for p in _points(row, "")]
    errors += _add(figure, points, escape(name), line(i))
  points = [p for row in best_of_size.values() for p in _points(row, "pca_")]
  errors += _add(figure, points, "PCA", _BLACK)
  if not errors:
    return None
  return laid_out(
    figure,
    xaxis={"title": "rate (bits/dim)"},
    yaxis=axis("squared error", errors),
  )


def _best_of_each_size(rows: TextRows, by: str) -> dict[str, TextRow]:
  """Latent size -> the best trial of it."""
  found = {}
  for size in map(str, trials.latent_sizes(rows)):
    row = selection.best([r for r in rows if r["latent_size"] == size], by)
    if row is not None:
      found[size] = row
  return found


def _points(row: TextRow, prefix: str) -> list[_Point]:
  """A trial, or the PCA of its size, at each step."""
  points = []
  for step in STEPS:
    rate = selection.number(row, f"{prefix}test_rate_at_bin_{step}")
    error = selection.number(row, f"{prefix}test_squared_error_at_bin_{step}")
    if rate is not None and error is not None:
      text = f"{escape(row['latent_size'])} units, step {step}"
      points.append(_Point(rate, error, text))
  return points


def _add(
  figure: go.Figure, points: list[_Point], name: str, look: dict[str, Any]
) -> list[float]:
  """Draws points and their Pareto front; returns their errors."""
  if not points:
    return []
  for mode, drawn in (("markers", points), ("lines", _pareto_front(points))):
    figure.add_scatter(
      **look,
      x=[point.rate for point in drawn],
      y=[point.error for point in drawn],
      text=[point.text for point in drawn],
      mode=mode,
      name=name,
      legendgroup=name,
      showlegend=mode == "lines",
      opacity=0.4 if mode == "markers" else 1.0,
      hovertemplate="%{text}<br>%{x:.4g} bits/dim: %{y:.4g}",
    )
  return [point.error for point in points]


def _pareto_front(points: list[_Point]) -> list[_Point]:
  """The points that no other one beats in both rate and error."""
  front: list[_Point] = []
  for point in sorted(points):
    if not front or point.error < front[-1].error:
      front.append(point)
  return front
