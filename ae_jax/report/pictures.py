"""Still pictures: arrays -> PNG, drawn without any global state.

Images are `[h, w]` or `[h, w, 3]` in [0, 1] here; `models` brings them there.
Words of users are drawn as they are, never read as mathematics.
"""

import base64
import io
import warnings
from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from ae_jax.metrics.selection import number
from ae_jax.over_seeds import Summary
from ae_jax.report.blocks import Picture
from ae_jax.report.figures import COLORS, DASHES, shortened

DPI = 100
_FONT_SIZE = 9
_HALF = (4.2, 3.0)  # inches; two fit beside each other, one on a phone
_MAX_NAMED_CLASSES = 20
_MARKERS = "os^Dv"
LINES = {
  "solid": "-",
  "dash": "--",
  "dot": ":",
  "dashdot": "-.",
  "longdash": (0, (8, 3)),
}
_GAP = 1  # pixels of a mosaic between two images


def embed(
  figure: Figure, caption: str, alt: str, wide: bool = False
) -> Picture:
  """A drawn figure as a picture of the page."""
  width, height = (figure.get_size_inches() * DPI).round().astype(int).tolist()
  uri = base64.b64encode(png(figure)).decode()
  return Picture(
    caption, alt, f"data:image/png;base64,{uri}", width, height, wide
  )


def png(figure: Figure) -> bytes:
  """A drawn figure as the bytes of a PNG."""
  buffer = io.BytesIO()
  with warnings.catch_warnings(), mpl.rc_context({"font.size": _FONT_SIZE}):
    # A word in a script that the font lacks is drawn as boxes.
    warnings.filterwarnings("ignore", "Glyph .* missing from font")
    figure.savefig(buffer, format="png", dpi=DPI)
  return buffer.getvalue()


def strips(rows: Sequence[tuple[str, np.ndarray]]) -> Figure:
  """Rows of images, each with its name.

  Args:
    rows: names and images `[n, h, w(, 3)]`, all of one shape.
  """
  images = np.stack([images for _, images in rows])
  figure = Figure(figsize=(7.2, 0.15 + 0.62 * len(rows)))
  draw_strips(figure.add_axes((0.17, 0.02, 0.82, 0.96)), images, rows)
  return figure


def draw_strips(
  axes: Axes, images: np.ndarray, rows: Sequence[tuple[str, np.ndarray]]
) -> None:
  """Draws images `[rows, n, h, w(, 3)]` with the names of the rows."""
  tiles = mosaic(images)
  axes.imshow(tiles, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
  step = len(tiles) / len(rows)
  axes.set_yticks(
    [(i + 0.5) * step - 0.5 for i in range(len(rows))],
    [name for name, _ in rows],
    parse_math=False,
    fontsize=_FONT_SIZE,
  )
  axes.tick_params(length=0)
  axes.set_xticks([])
  axes.spines[:].set_visible(False)


def tiles(images: np.ndarray, cmap: str = "gray") -> Figure:
  """A grid of images `[rows, columns, h, w(, 3)]` in [0, 1]."""
  array = mosaic(images)
  height, width = array.shape[:2]
  side = 3.6
  figure = Figure(figsize=(side, side * min(height / width, 2.0)))
  axes = figure.add_axes((0, 0, 1, 1))
  axes.imshow(array, cmap=cmap, vmin=0, vmax=1, interpolation="nearest")
  axes.set_axis_off()
  return figure


def mosaic(images: np.ndarray) -> np.ndarray:
  """`[rows, columns, h, w(, 3)]` -> one image, white between them."""
  gap = [(0, 0), (0, 0), (_GAP, _GAP), (_GAP, _GAP)]
  nothing = 1.0 if images.ndim == 5 else np.nan  # of any color map
  padded = np.pad(
    images, gap + [(0, 0)] * (images.ndim - 4), constant_values=nothing
  )
  rows, columns, h, w, *channels = padded.shape
  return padded.swapaxes(1, 2).reshape(rows * h, columns * w, *channels)


def rectangle(images: np.ndarray, columns: int) -> np.ndarray:
  """`[n, h, w(, 3)]` -> `[rows, columns, h, w(, 3)]`, filled up with white."""
  columns = min(columns, len(images))
  missing = -len(images) % columns
  padding = [(0, missing)] + [(0, 0)] * (images.ndim - 1)
  nothing = 1.0 if images.ndim == 4 else np.nan
  filled = np.pad(images, padding, constant_values=nothing)
  return filled.reshape(-1, columns, *images.shape[1:])


def profiles(rows: Sequence[tuple[str, np.ndarray]]) -> Figure:
  """Examples that are no images, each a panel, each row of them a line.

  Args:
    rows: names and examples `[n, d]`.
  """
  n = len(rows[0][1])
  figure, panels = _figure(7.2, 0.9 + n, n)
  for i, axes in enumerate(panels):
    for (name, examples), color, dash in zip(
      rows, ("#000000", *COLORS), DASHES, strict=False
    ):
      x = np.arange(1, examples.shape[1] + 1)
      axes.plot(
        x,
        examples[i],
        color=color,
        linestyle=LINES[dash],
        marker="." if len(x) < 40 else None,
        linewidth=1.2,
        label=name,
      )
    _quiet(axes)
  panels[-1].set_xlabel("feature")
  figure.legend(
    *panels[0].get_legend_handles_labels(),
    loc="upper center",
    ncols=len(rows),
    frameon=False,
  )
  return figure


def scatter(
  points: np.ndarray, labels: np.ndarray | None, are_classes: bool
) -> Figure:
  """Codes `[n, 2]`, colored and marked by class `[n]`, with its name.

  Labels that are no classes, or too many, color by their rank.
  """
  figure, (axes,) = _figure(*_HALF)
  _draw_labels(axes, points, labels, are_classes)
  _quiet(axes)
  return figure


def histograms(values: Sequence[tuple[str, np.ndarray]]) -> Figure:
  """Shares of code values, a line for each name and its values."""
  figure, (axes,) = _figure(*_HALF)
  pooled = np.concatenate([v.ravel() for _, v in values])
  low, high = np.percentile(pooled, [0.5, 99.5], method="nearest").tolist()
  edges = np.linspace(*_interval(low, high), 41)
  shades = mpl.colormaps["viridis"](np.linspace(0, 0.8, len(values)))
  for i, (name, v) in enumerate(values):
    counts, _ = np.histogram(v, edges)
    axes.stairs(
      counts / v.size,
      edges,
      color=shades[i],
      label=_word(name),
      linestyle=LINES[DASHES[i % len(DASHES)]],
      linewidth=1.3,
    )
  axes.set_yscale("log")
  axes.yaxis.set_minor_formatter(NullFormatter())
  axes.set_xlabel("value of a code unit")
  axes.set_ylabel("share of all values")
  if len(values) > 1:
    legend = axes.legend(frameon=False, fontsize=_FONT_SIZE - 1)
    for text in legend.get_texts():
      text.set_parse_math(False)
  _quiet(axes)
  return figure


def errors(
  name: str, title: str, points: Sequence[tuple[str, Summary]]
) -> Figure:
  """A metric for each value of a setting, with its spread.

  Points are joined where the values are numbers.
  """
  figure, (axes,) = _figure(*_HALF)
  are_numbers = all(
    number({name: text}, name) is not None for text, _ in points
  )
  x = range(len(points))
  axes.errorbar(
    x,
    [summary.mean for _, summary in points],
    [summary.spread for _, summary in points],
    color=COLORS[0],
    marker="o",
    linestyle="-" if are_numbers else "",
    capsize=3,
  )
  axes.margins(x=0.2)
  axes.set_xticks(x, [_word(text) for text, _ in points], parse_math=False)
  axes.set_xlabel(name)
  axes.set_ylabel(title)
  _quiet(axes)
  return figure


def _figure(
  width: float, height: float, rows: int = 1
) -> tuple[Figure, list[Axes]]:
  """In inches of `DPI` pixels, with axes one above the other.

  Margins are fixed: laying them out by what is drawn takes twice the time.
  """
  figure = Figure(figsize=(width, height))
  axes = figure.subplots(rows, 1, squeeze=False, sharex=True)
  figure.subplots_adjust(
    left=0.65 / width,
    right=1 - 0.1 / width,
    bottom=0.45 / height,
    top=1 - (0.1 if rows == 1 else 0.3) / height,
  )
  return figure, axes[:, 0].tolist()


def _draw_labels(
  axes: Axes,
  points: np.ndarray,
  labels: np.ndarray | None,
  are_classes: bool,
) -> None:
  if labels is None:
    axes.scatter(points[:, 0], points[:, 1], s=6, color=COLORS[0], linewidths=0)
    return
  classes, index = np.unique(labels, return_inverse=True)
  if not are_classes or len(classes) > _MAX_NAMED_CLASSES:
    axes.scatter(
      points[:, 0], points[:, 1], s=6, c=index, cmap="cividis", linewidths=0
    )
    return
  for i in range(len(classes)):
    own = points[index == i]
    axes.scatter(
      own[:, 0],
      own[:, 1],
      s=8,
      color=COLORS[i % len(COLORS)],
      marker=_MARKERS[i % len(_MARKERS)],
      linewidths=0,
      alpha=0.7,
    )
  for i, name in enumerate(classes.tolist()):
    x, y = np.median(points[index == i], axis=0).tolist()
    text = axes.text(
      x,
      y,
      _word(name),
      ha="center",
      va="center",
      fontsize=_FONT_SIZE,
      fontweight="bold",
      parse_math=False,
      bbox={
        "boxstyle": "round,pad=0.15",
        "facecolor": "white",
        "edgecolor": COLORS[i % len(COLORS)],
        "alpha": 0.85,
      },
    )
    text.set_clip_on(True)


def _word(word: object) -> str:
  """A label or a setting as a short word."""
  text = word.decode(errors="replace") if isinstance(word, bytes) else word
  return shortened(" ".join(str(text).split()))


def _interval(low: float, high: float) -> tuple[float, float]:
  """The interval, widened where it is too narrow for float32 to divide."""
  least = 1e-6 * max(abs(low), abs(high), 1e-6)
  return (low, high) if high - low > least else (low - least, high + least)


def _quiet(axes: Axes) -> None:
  axes.spines[["top", "right"]].set_visible(False)
  axes.tick_params(labelsize=_FONT_SIZE - 1, color="#999999")
