"""A run directory -> `report.html`."""

import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jinja2
import numpy as np
import plotly.offline

from ae_jax.atomic import write_text
from ae_jax.data import Dataset
from ae_jax.metrics import selection
from ae_jax.metrics.registry import CORRUPTIONS, more_is_better
from ae_jax.report import (
  examples,
  factors,
  models,
  overview,
  ranking,
  tables,
  trials,
)
from ae_jax.report.blocks import Block, Listing, Plot, Section
from ae_jax.report.trials import Row, Rows
from ae_jax.run_folder import curves, load
from ae_jax.run_folder.folder import check_links

REPORT = "report.html"


class Run(NamedTuple):
  """What is on disk of a run.

  Attributes:
    rows: of its table, as text.
    histories: id -> term -> `[num_epochs]`.
    units: id -> name -> `[latent]`, of the best trials.
    config: of `config.json`.
    best: the best row of each objective.
    by: the metric that says which is best.
  """

  rows: Rows
  histories: Mapping[str, Mapping[str, np.ndarray]]
  units: Mapping[str, Mapping[str, np.ndarray]]
  config: Mapping[str, Any]
  best: list[Row]
  by: str


def write(
  workdir: Path, dataset: Dataset, *, by: str = "test_squared_error"
) -> Path:
  """Writes the page of a run.

  Args:
    workdir: of the run.
    dataset: that it was trained on.
    by: the column that says which trial is best.

  Returns:
    The path of the page.

  Raises:
    UsageError: there is no run, no finished trial or no such metric; or a
      folder of the run is a link.
  """
  check_links(workdir)
  run = read(workdir, dataset, by)
  overall = [
    _answer(run),
    _by_size(run),
    _every_trial(run),
    _learning(run),
    _measured(run),
    _objectives(workdir, dataset, run),
    _how(run),
  ]
  sections = [s for s in map(_without_empty, overall) if s is not None]
  path = workdir / REPORT
  write_text(path, render(run, dataset, sections))
  return path


def read(workdir: Path, dataset: Dataset, by: str) -> Run:
  """Reads what is on disk of a run, and picks the best trials.

  Raises:
    UsageError: see `write`.
  """
  rows, config = trials.read(workdir, by)
  rows = ranking.ranked(workdir, rows, dataset)
  best = [selection.best(own, by) for own in trials.by_objective(rows).values()]
  found = [row for row in best if row is not None]
  return Run(
    rows=rows,
    histories={
      row["id"]: curves.read_curves(workdir, row["id"]) for row in rows
    },
    units={row["id"]: curves.read_units(workdir, row["id"]) for row in found},
    config=config,
    best=found,
    by=by,
  )


def render(run: Run, dataset: Dataset, sections: list[Section]) -> str:
  """Lays the sections out; everything of theirs is escaped."""
  plots = [
    block
    for section in sections
    for block in (
      *section.blocks,
      *(b for p in section.parts for b in p.blocks),
    )
    if isinstance(block, Plot)
  ]
  environment = jinja2.Environment(
    loader=jinja2.PackageLoader("ae_jax.report", "."),
    autoescape=True,
    trim_blocks=True,
    lstrip_blocks=True,
    undefined=jinja2.StrictUndefined,
  )
  num_ok = len(trials.ok(run.rows))
  return environment.get_template("template.html.jinja").render(
    title=f"Autoencoders on {dataset.name}",
    summary=(
      f"{len(run.rows)} trials: {num_ok} ok, {len(run.rows) - num_ok} diverged."
      f" {dataset.num_train:,} train and {len(dataset.test):,} test examples"
      f" of shape [{', '.join(map(str, dataset.train.shape[1:]))}]"
      + (", standardized." if dataset.standardization is not None else ".")
    ),
    sections=sections,
    plots=plots,
    plotly_js=plotly.offline.get_plotlyjs() if plots else "",
    # Plotly writes <, > and / of strings as \u003c, ... here.
    figures=[plot.figure.to_json() for plot in plots],
  )


def _answer(run: Run) -> Section:
  overall = selection.best(run.rows, run.by)
  if overall is None:
    return Section(
      "The best trials",
      "No trial ended well: lower the learning rate or the strength, or scale"
      " the data.",
      [],
    )
  value = selection.number(overall, run.by) or 0.0
  better = "Largest" if more_is_better(run.by) else "Least"
  peers = trials.by_objective(run.rows)[overall["objective"]]
  words = (
    f"{overall['objective']} at latent size {overall['latent_size']}",
    tables.settings(overall, peers),
    f"trial {overall['id']}",
  )
  text = (
    f"{better} {run.by.replace('_', ' ')}: {value:.4g}, by"
    f" {', '.join(word for word in words if word)}. These are single trials;"
    " the lines and maps below compare settings by their mean over seeds."
  )
  sized = [
    found
    for own in trials.by_objective(run.rows).values()
    for size in trials.ordered(row["latent_size"] for row in own)
    if (
      found := selection.best(
        [row for row in own if row["latent_size"] == size], run.by
      )
    )
  ]
  blocks: list[Block] = [tables.best_trials(run.best, run.rows, run.by)]
  if len(sized) > len(run.best):
    each = tables.best_trials(sized, run.rows, run.by)
    caption = f"The same for each latent size. {each.caption}"
    blocks.append(each._replace(caption=caption, folded=True))
  return Section("The best trials", text, blocks)


def _by_size(run: Run) -> Section:
  blocks: list[Block] = []
  metric = run.by.replace("_", " ")
  sizes = {row["latent_size"] for row in run.rows}
  if len(sizes) > 1 and run.best:
    blocks.append(
      Plot(
        f"{_sentence(metric)} against the latent size: the best settings of"
        " each objective there, mean and standard deviation over seeds. PCA's"
        " line ends where it has no error left. A click in the legend hides a"
        " line.",
        overview.latent_sizes(run.rows, run.by),
        440,
      )
    )
  for name, own in trials.by_objective(run.rows).items():
    strength = trials.strength(own)
    if strength is not None and selection.best(own, run.by):
      num_values = len({row[strength] for row in own})
      blocks.append(
        Plot(
          f"{name}: {metric} over latent size and {strength}, mean ± standard"
          " deviation over seeds, at the best other settings; dark is best.",
          overview.heat_map(own, run.by, strength),
          110 + 40 * num_values,
        )._replace(wide=len(sizes) > 4, min_width=140 + 90 * len(sizes))
      )
  figure = overview.rate_distortion(run.rows, run.by)
  if figure is not None:
    caption = (
      "Squared error against the bits that codes take, once they are rounded"
      " to a step and written by an entropy coder under probabilities learned"
      " from the train codes: the best trial of each latent size at each step,"
      " and PCA's codes treated the same way. The lines join what no other"
      " size and step of that objective beats in both."
    )
    blocks.append(Plot(caption, figure, 440))
  return Section("Latent size and strength", "", blocks)


def _every_trial(run: Run) -> Section:
  blocks: list[Block] = []
  figure = overview.parallel_coordinates(run.rows, run.by)
  if figure is not None:
    blocks.append(
      Plot(
        "A line for each trial that ended well, colored by"
        f" {run.by.replace('_', ' ')} (dark is best). Drag along an axis to"
        " keep the trials in a range; click the axis to let them go.",
        figure,
        380,
      )._replace(min_width=max(900, 95 * len(figure.data[0].dimensions)))
    )
  blocks.append(tables.all_trials(run.rows, run.by))
  if len(trials.ok(run.rows)) < len(run.rows):
    blocks.append(tables.diverged(run.rows))
  return Section("All trials", "", blocks)


def _learning(run: Run) -> Section:
  figure, term = overview.learning_curves(run.rows, run.histories, run.best)
  what = "The loss" if term == "loss" else f"The term {term} of the loss"
  caption = (
    f"{what}, mean over each epoch, of all trials; the best one of each"
    " objective is drawn heavy. A curve ends where its trial diverged."
  )
  blocks = [] if figure is None else [Plot(caption, figure, 420)]
  return Section("Learning curves", "", [*blocks])


def _measured(run: Run) -> Section:
  best = run.best
  features = (
    "How far the codes tell the classes apart: accuracies are shares of the"
    " test set, a silhouette lies in -1 ... 1. PCA has as many components."
  )
  search = (
    "Search of the train set by the nearest codes: shares of what is found"
    " that has the class of the test example."
  )
  blocks: list[Block | None] = [
    tables.metric_group(best, "features", features),
    tables.metric_group(best, "neighbors", search),
    tables.metric_group(best, "activity", "The codes of the test examples."),
    tables.metric_group(
      best, "likelihood", "The likelihood of the test examples, mean."
    ),
    tables.metric_group(
      best,
      "disentanglement",
      "How far each unit tells of one factor of the data, by several metrics.",
    ),
  ]
  for corruption in CORRUPTIONS:
    figure = overview.after_corruption(best, corruption)
    if figure is not None:
      caption = (
        f"Squared error after {corruption.replace('_', ' ')} noise on the"
        " input, against the clean test examples."
      )
      blocks.append(Plot(caption, figure, 340)._replace(wide=False))
  for row in best:
    figure = factors.information(row, run.units.get(row["id"], {}))
    if figure is not None:
      caption = "Mutual information of code units and factors, in nats."
      blocks.append(Plot(caption, figure, 340)._replace(wide=False))
  for name, title, caption in (
    (
      "kl",
      "KL (nats)",
      "KL(q(z|x) || p(z)) of each unit, mean over test codes.",
    ),
    (
      "singular_value",
      "singular value",
      "Singular values of the encoder's Jacobian, mean over test examples.",
    ),
  ):
    figure = overview.spectrum(best, run.units, name, title)
    if figure is not None:
      blocks.append(Plot(caption, figure, 340)._replace(wide=False))
  return Section(
    "What the codes are worth",
    "Of the best trial of each objective.",
    [block for block in blocks if block is not None],
  )


def _objectives(workdir: Path, dataset: Dataset, run: Run) -> Section:
  chosen = {
    name: shown
    for name, own in trials.by_objective(run.rows).items()
    if (shown := models.choose(own, run.by)) is not None
  }
  if not chosen:
    return Section("Each objective", "", [])
  ids = set().union(*(shown.ids for shown in chosen.values()))
  loaded = load.load_trials(workdir, ids)
  seen = examples.of(dataset)
  beside = models.pca_codes(seen)
  by_name = trials.by_objective(run.rows)
  return Section(
    "Each objective",
    "",
    [],
    tuple(
      Section(
        name,
        f"Trial {shown.best['id']}, latent size {shown.best['latent_size']}.",
        [*models.look(shown, by_name[name], loaded, seen, beside)],
      )
      for name, shown in chosen.items()
    ),
  )


def _how(run: Run) -> Section:
  config = run.config
  _, *arguments = config.get("command", [""])
  seconds = [selection.number(row, "seconds") or 0.0 for row in run.rows]
  facts = {
    "git commit": config.get("git_commit") or "not known",
    "devices": ", ".join(config.get("devices", [])),
    "training": f"{sum(seconds):.1f} s for {len(seconds)} trials",
    **config.get("versions", {}),
  }
  return Section(
    "How to reproduce",
    "",
    [
      Listing("The command.", f"./launch.sh sweep {shlex.join(arguments)}"),
      tables.pairs(facts, "What it ran on."),
      Listing(
        "The configuration.", json.dumps(config.get("config", {}), indent=2)
      ),
    ],
  )


def _sentence(text: str) -> str:
  return text[:1].upper() + text[1:]


def _without_empty(section: Section) -> Section | None:
  if section.text and not section.blocks and not section.parts:
    return section if section.title == "The best trials" else None
  return section if section.blocks or section.parts else None
