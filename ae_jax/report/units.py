"""Figures of single code units: information on factors, KL, Jacobian."""

from collections.abc import Mapping, Sequence

import numpy as np
import plotly.graph_objects as go

from ae_jax.report.figures import axis, escape, laid_out, line
from ae_jax.run_folder.results import TextRow

_PREFIX = "information_"


def information(
  row: TextRow, units: Mapping[str, np.ndarray]
) -> go.Figure | None:
  """Information of each unit on each factor; None where there are none.

  Units are ordered by the factor that they know most about.

  Args:
    row: of the trial.
    units: its metrics of units, name -> `[latent]`.
  """
  names = [name for name in units if name.startswith(_PREFIX)]
  if not names:
    return None
  matrix = np.stack(
    [units[name] for name in names], axis=1
  )  # [latent, factors]
  order = np.lexsort((-matrix.max(axis=1), matrix.argmax(axis=1)))
  return laid_out(
    go.Figure(
      go.Heatmap(
        x=[escape(name.removeprefix(_PREFIX)) for name in names],
        y=[f"unit {unit + 1}" for unit in order],
        z=matrix[order].tolist(),
        texttemplate="%{z:.2f}",
        colorscale="Cividis",
        showscale=False,
        hovertemplate="%{y}, %{x}: %{z:.3f} nats<extra></extra>",
        xgap=2,
        ygap=2,
      )
    ),
    title={"text": escape(row["objective"]), "font": {"size": 14}, "x": 0.5},
    margin={"l": 60, "r": 16, "t": 36, "b": 50},
    yaxis={"type": "category", "autorange": "reversed"},
  )


def spectrum(
  best: Sequence[TextRow],
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
