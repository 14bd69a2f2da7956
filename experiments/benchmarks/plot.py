"""Trial-steps a second against the number of trials."""

import io
from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.benchmarks.section import Measurement

_SIZE = (9, 6.5)  # inches
_COLORS = (
  "#0072B2",
  "#D55E00",
  "#009E73",
  "#CC79A7",
  "#E69F00",
  "#56B4E9",
  "#767676",
)
_DASHES = ("-", "--", ":", "-.", (0, (8, 3)))


def plot(
  trials: Sequence[Measurement], peers: Sequence[Measurement], title: str
) -> bytes:
  """Draws rates as a PNG, both axes logarithmic.

  Args:
    trials: rows of the section of that name; a line a network and objective.
    peers: rows of that section; a horizontal line each that is not ours. Of
      both, rows that failed are left out.
    title: what was measured on, and when.
  """
  trials = [row for row in trials if "failed" not in row]
  figure = Figure(figsize=_SIZE, layout="constrained")
  axes = figure.subplots()
  lines: dict[tuple[str, str], list[Measurement]] = {}
  for row in trials:
    lines.setdefault((row["network"], row["objective"]), []).append(row)
  colors = dict(zip({n: None for n, _ in lines}, _COLORS, strict=False))
  objectives = list(dict.fromkeys(objective for _, objective in lines))
  for (network, objective), rows in lines.items():
    index = objectives.index(objective)
    axes.plot(
      [row["trials"] for row in rows],
      [row["trial_steps_per_s"] for row in rows],
      color=colors[network],
      linestyle=_DASHES[index % len(_DASHES)],
      linewidth=1 if index else 2.5,
      marker="o",
      markersize=3 if index else 6,
      label=f"{network} {objective}",
    )
  _draw_peers(axes, peers, colors)
  axes.set_xscale("log", base=4)
  axes.set_yscale("log")
  sizes = sorted({row["trials"] for row in trials})
  axes.set_xticks(sizes, map(str, sizes))
  axes.minorticks_off()
  axes.set_xlabel("trials, K")
  axes.set_ylabel("trial-steps a second")
  axes.spines[["top", "right"]].set_visible(False)
  figure.suptitle(title, fontsize=10)
  if lines:
    figure.legend(loc="outside right center", frameon=False)
  buffer = io.BytesIO()
  figure.savefig(buffer, format="png")
  return buffer.getvalue()


def _draw_peers(
  axes: Axes, peers: Sequence[Measurement], colors: Mapping[str, str]
) -> None:
  for row in peers:
    if "failed" in row or row["by"].startswith("ae_jax"):
      continue
    rate = row["trial_steps_per_s"]
    color = colors.get(row["network"], "black")
    axes.axhline(rate, color=color, linestyle=":", linewidth=1)
    axes.annotate(
      f"{row['by']}: {row['network']}",
      (1, rate),
      xycoords=("axes fraction", "data"),
      ha="right",
      va="bottom",
      color=color,
      fontsize=8,
    )
