"""Trial-steps a second against the number of trials."""

from collections.abc import Sequence

from matplotlib.figure import Figure

from ae_jax.report import overview, pictures
from experiments.benchmarks.section import Row

_SIZE = (9, 6.5)  # inches


def plot(trials: Sequence[Row], peers: Sequence[Row], title: str) -> bytes:
  """Draws rates as a PNG, both axes logarithmic.

  Args:
    trials: rows of the section of that name; a line a network and objective.
    peers: rows of that section; a horizontal line each that is not ours.
    title: what was measured on, and when.
  """
  figure = Figure(figsize=_SIZE, layout="constrained")
  axes = figure.subplots()
  lines: dict[tuple[str, str], list[Row]] = {}
  for row in trials:
    lines.setdefault((row["network"], row["objective"]), []).append(row)
  networks = list(dict.fromkeys(network for network, _ in lines))
  for (network, objective), rows in lines.items():
    index = networks.index(network)
    plain = objective == "autoencoder"
    axes.plot(
      [row["trials"] for row in rows],
      [row["trial_steps_per_s"] for row in rows],
      color=overview.COLORS[index % len(overview.COLORS)],
      linewidth=2.5 if plain else 1,
      marker="o",
      markersize=6 if plain else 3,
      label=f"{network} {objective}",
    )
  for row in peers:
    if row["by"].startswith("ae_jax"):
      continue
    index = networks.index(row["network"]) if row["network"] in networks else -1
    rate = row["trial_steps_per_s"]
    axes.axhline(
      rate,
      color=overview.COLORS[index % len(overview.COLORS)],
      linestyle=pictures.LINES["dot"],
      linewidth=1,
    )
    axes.annotate(
      f"{row['by']}: {row['network']}",
      (1, rate),
      xycoords=("axes fraction", "data"),
      ha="right",
      va="bottom",
    )
  axes.set_xscale("log", base=4)
  axes.set_yscale("log")
  sizes = sorted({row["trials"] for row in trials})
  axes.set_xticks(sizes, map(str, sizes))
  axes.minorticks_off()
  axes.set_xlabel("trials trained at once, K")
  axes.set_ylabel("trial-steps a second")
  axes.set_title(title, loc="left")
  axes.spines[["top", "right"]].set_visible(False)
  figure.legend(loc="outside right upper", frameon=False)
  return pictures.png(figure)
