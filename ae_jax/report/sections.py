"""The sections of the page but the evaluation."""

import json
import shlex
from pathlib import Path

from ae_jax import winners
from ae_jax.data import Dataset
from ae_jax.metrics import selection
from ae_jax.report import (
  comparison,
  models,
  tables,
  trial_figures,
  trials,
)
from ae_jax.report.blocks import Block, Listing, Plot, Section
from ae_jax.report.examples import select_examples
from ae_jax.report.rate_distortion import rate_distortion
from ae_jax.report.run_record import RunRecord
from ae_jax.run_folder import load

BEST_TRIALS = "The best trials"
_PYTHON_CALL = "ae_jax.run_sweep(points, x, folder=...)"


def best_trials(run: RunRecord) -> Section:
  """The answer in a sentence, and a table of the best of each objective."""
  overall = selection.best(run.rows, run.by)
  if overall is None:
    return Section(
      BEST_TRIALS,
      "No trial ended well: lower the learning rate or the strength, or scale"
      " the data.",
      [],
    )
  said = selection.remark(run.rows, run.by)
  text = (
    f"{winners.sentence(run.rows, run.by)}"
    + (f" {said[0].upper()}{said[1:]}." if said else "")
    + " The table below has single trials; the lines and maps compare settings"
    " by their mean over seeds."
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
  return Section(BEST_TRIALS, text, blocks)


def by_latent_size(run: RunRecord) -> Section:
  """The metric over latent sizes and strengths, and over rates."""
  blocks: list[Block] = []
  metric = run.by.replace("_", " ")
  sizes = {row["latent_size"] for row in run.rows}
  if len(sizes) > 1 and run.best:
    blocks.append(
      Plot(
        f"{_sentence(metric)} against the latent size: the best settings of"
        " each objective at each size, mean and standard deviation over seeds."
        " PCA's line ends where it has no error left. A click in the legend"
        " hides a line.",
        comparison.latent_sizes(run.rows, run.by),
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
          comparison.heat_map(own, run.by, strength),
          110 + 40 * num_values,
        )._replace(wide=len(sizes) > 4, min_width=140 + 90 * len(sizes))
      )
  figure = rate_distortion(run.rows, run.by)
  if figure is not None:
    caption = (
      "Squared error against the bits that codes take, once they are rounded"
      " to a step and written by an entropy coder under probabilities learned"
      " from the train codes: the best trial of each latent size at each step,"
      " and PCA's codes treated the same way. The lines join the Pareto front"
      " of each objective: what no other size and step of it beats in both."
    )
    blocks.append(Plot(caption, figure, 440))
  return Section("Latent size and strength", "", blocks)


def all_trials(run: RunRecord) -> Section:
  """Every trial as a line and as a row; those that diverged."""
  blocks: list[Block] = []
  figure = trial_figures.parallel_coordinates(run.rows, run.by)
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


def learning_curves(run: RunRecord) -> Section:
  """The learning curves of all trials."""
  figure, term = trial_figures.learning_curves(
    run.rows, run.histories, run.best
  )
  what = "The loss" if term == "loss" else f"The term {term} of the loss"
  caption = (
    f"{what}, mean over each epoch, of all trials; the best one of each"
    " objective is drawn heavy. A curve ends where its trial diverged."
  )
  blocks = [] if figure is None else [Plot(caption, figure, 420)]
  return Section("Learning curves", "", [*blocks])


def each_objective(folder: Path, dataset: Dataset, run: RunRecord) -> Section:
  """A part for each objective: pictures of what its models do."""
  by_name = trials.by_objective(run.rows)
  selected = {
    name: found
    for name, own in by_name.items()
    if (found := models.select_trials(own, run.by)) is not None
  }
  if not selected:
    return Section("Each objective", "", [])
  ids = set().union(*(found.ids for found in selected.values()))
  loaded = load.load_trials(folder, ids, run.modules)
  examples = select_examples(dataset)
  pca_codes = models.pca_codes(examples)
  parts = [
    Section(
      name,
      f"Trial {found.best['id']}, latent size {found.best['latent_size']}.",
      [*models.draw(found, by_name[name], loaded, examples, pca_codes)],
    )
    for name, found in selected.items()
  ]
  return Section("Each objective", "", [], tuple(parts))


def how_to_reproduce(run: RunRecord) -> Section:
  """The command or the call, what it ran on, configuration and data."""
  config = run.config
  seconds = [selection.number(row, "seconds") or 0.0 for row in run.rows]
  facts = {
    "git commit": config.get("git_commit") or "not known",
    "devices": ", ".join(map(str, config.get("devices") or [])),
    "training": f"{sum(seconds):.1f} s for {len(seconds)} trials",
    **(config.get("versions") or {}),
  }
  command = config.get("command")
  if isinstance(command, list):
    arguments = shlex.join(map(str, command[1:]))
    call = Listing("The command.", f"ae-jax sweep {arguments}")
  else:
    call = Listing("The call, from Python.", _PYTHON_CALL)
  blocks: list[Block] = [call, tables.pairs(facts, "What it ran on.")]
  for name, caption in (
    ("config", "The configuration."),
    ("data", "The data."),
  ):
    if config.get(name):
      blocks.append(Listing(caption, json.dumps(config[name], indent=2)))
  return Section("How to reproduce", "", blocks)


def _sentence(text: str) -> str:
  return text[:1].upper() + text[1:]
