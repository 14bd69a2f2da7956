"""What code units tell of the factors that data were made from."""

from collections.abc import Mapping

import numpy as np
import plotly.graph_objects as go

from ae_jax.report.figures import escape, laid_out
from ae_jax.report.trials import Row

_PREFIX = "information_"


def information(row: Row, units: Mapping[str, np.ndarray]) -> go.Figure | None:
  """Information of each unit on each factor; None where there are none.

  Units stand in the order of the factor that they tell most of.

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
