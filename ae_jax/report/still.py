"""One still picture of a run, for a README."""

import math
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ae_jax.atomic import replacing
from ae_jax.data import Dataset, are_images
from ae_jax.lookup import Modules
from ae_jax.metrics import selection
from ae_jax.metrics.registry import more_is_better
from ae_jax.report import figures, pictures, trials
from ae_jax.report.examples import (
  as_images,
  by_pca,
  reconstruct,
  select_examples,
)
from ae_jax.report.trials import TextRows
from ae_jax.run_folder import load
from ae_jax.run_folder.results import TextRow
from ae_jax.types import UsageError

_SIZE = 8  # the latent size, or the nearest there is
_NUM_MODELS = 7
_MARKERS = {
  "circle": "o",
  "square": "s",
  "diamond": "D",
  "triangle-up": "^",
  "x": "X",
  "star": "*",
  "cross": "P",
}


def write_picture(
  folder: Path, dataset: Dataset, path: Path, by: str | None, modules: Modules
) -> None:
  """Draws a PNG of a run, see `report.write_picture`."""
  rows, _, by = trials.read(folder, by)
  if not are_images(dataset.train.shape[1:]):
    raise UsageError(
      f"no picture: {dataset.name} holds no images but examples of shape"
      f" {dataset.train.shape[1:]}"
    )
  overall = selection.best(rows, by)
  if overall is None:
    raise UsageError(f"no picture: no trial has a number in {by!r}")
  figure = Figure(figsize=(12, 4.5))
  _draw_errors(figure.add_axes((0.06, 0.13, 0.44, 0.83)), rows, by)
  sizes = trials.latent_sizes(trials.ok(rows))
  size = min(sizes, key=lambda size: abs(size - _SIZE))
  best = _best_of_size(rows, by, size)[:_NUM_MODELS]
  examples = select_examples(dataset)
  loaded = load.load_trials(folder, [row["id"] for row in best], modules)
  x = examples.x[examples.shown]
  strips = [("original", x), ("PCA", by_pca(examples, size))]
  label = None if examples.label is None else examples.label[examples.shown]
  strips += [
    (row["objective"], reconstruct(loaded[row["id"]], x, label)) for row in best
  ]
  images = [(name, as_images(values, examples)) for name, values in strips]
  axes = figure.add_axes((0.62, 0.02, 0.37, 0.9))
  pictures.draw_strips(axes, np.stack([i for _, i in images]), images)
  axes.set_anchor("N")
  axes.set_title(f"{size} code units", fontsize=11)
  with replacing(path) as file:
    file.write(pictures.png(figure))


def _best_of_size(rows: TextRows, by: str, size: int) -> list[TextRow]:
  """The best trial of each objective at that size, the best one first."""
  best = [
    selection.best([r for r in own if r["latent_size"] == str(size)], by)
    for own in trials.by_objective(rows).values()
  ]
  sign = -1 if more_is_better(by) else 1
  return sorted(
    (row for row in best if row is not None),
    key=lambda row: sign * (selection.number(row, by) or 0.0),
  )


def _draw_errors(axes: Axes, rows: TextRows, by: str) -> None:
  shown = []
  for i, (name, own) in enumerate(trials.by_objective(rows).items()):
    cells = trials.over_seeds(own, by, ("latent_size",))
    own_sizes = trials.ordered(size for (size,) in cells)
    means = [cells[(size,)].mean for size in own_sizes]
    shown += means
    color, dash, symbol = figures.style(i)
    axes.errorbar(
      [*map(int, own_sizes)],
      means,
      [cells[(size,)].spread for size in own_sizes],
      color=color,
      linestyle=pictures.LINES[dash],
      marker=_MARKERS[symbol],
      markersize=6,
      linewidth=1.5,
      capsize=2,
      label=name,
    )
  baseline = trials.baseline(rows, by)
  shown += baseline.values()
  axes.plot(
    [*baseline],
    [*baseline.values()],
    color="black",
    marker="o",
    markerfacecolor="white",
    linewidth=2.5,
    label="PCA",
  )
  kind = figures.axis_type(shown)
  axes.set_yscale(kind)
  if kind == "log":
    low, high = (math.log10(value) for value in axes.get_ylim())
    ticks = [10**tick for tick in figures.log_ticks(low, high)]
    axes.set_yticks(ticks, [f"{tick:.3g}" for tick in ticks])
  sizes = trials.latent_sizes(rows)
  if sizes[-1] / sizes[0] >= 8:
    axes.set_xscale("log")
  axes.set_xticks(sizes, map(str, sizes))
  axes.minorticks_off()
  axes.set_xlabel("latent size", fontsize=11)
  axes.set_ylabel(by.replace("_", " "), fontsize=11)
  axes.spines[["top", "right"]].set_visible(False)
  axes.legend(frameon=False, fontsize=10)
