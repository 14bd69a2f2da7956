"""Trains a grid of autoencoders and writes the table.

ae-jax sweep [--workdir=DIR] [--config=FILE] [--config.FIELD=VALUE ...]

  --workdir              where everything goes; default: a folder under runs/
  --config               a config file; default: the digits
  --config.objective     one objective, by name or as module:function
  --config.data.name     a TFDS name; --config.data.path: an own .npy or .npz
  --config.fixed.NAME    a setting of all trials: num_epochs, widths, ...
  --config.sweep.NAME    values of a setting to sweep, such as (2, 8, 32)
  --config.metrics       what to measure: reconstruction, features, ...
  --config.snapshot_seconds=60, --config.tensorboard=True, --config.memory_gb,
                         ...: see the reference

The same command on the same folder trains only what is not there yet; a wider
grid, only what is new.
"""

import collections
import hashlib
import json
import textwrap
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ml_collections import ConfigDict

from ae_jax import data, grid, report, sweep, tensorboard, winners
from ae_jax import plan as plans
from ae_jax.cli import endings, start
from ae_jax.cli.flags import DEFAULT, CommandLine, parse
from ae_jax.cli.signals import SignalInterruption
from ae_jax.cli.table import best_trials, format_table
from ae_jax.diagnostics import diagnostics
from ae_jax.engine.group import groups
from ae_jax.environment import use_all_cores
from ae_jax.evaluation import Cost
from ae_jax.metrics.selection import criterion, remark
from ae_jax.progress import Progress
from ae_jax.run_folder import checkpoints, curves, results
from ae_jax.run_folder.folder import RunFolder
from ae_jax.store import Survey
from ae_jax.types import UsageError


class Prepared(NamedTuple):
  """A sweep that has been checked and can start."""

  plan: plans.Plan
  folder: RunFolder


def main(argv: Sequence[str], configs: Path | None = None) -> None:
  """Runs the program; exits with 2 and one line at a mistake of the user.

  Args:
    argv: the program and its arguments.
    configs: a folder whose config files can be named without it.
  """
  start.with_own_modules()
  use_all_cores()
  with endings.one_line(), SignalInterruption() as interruption:
    prepared = start.checked(lambda argv: prepare(argv, configs), argv, __doc__)
    with prepared.folder:
      train(prepared, interruption)


def prepare(argv: Sequence[str], configs: Path | None = None) -> Prepared:
  """Everything that can go wrong by a mistake of the user, before training."""
  command = parse(argv, ("workdir",), configs)
  config = command.config
  fixed = config.fixed.to_dict()
  points = [fixed | point for point in grid.union(command.axes, fixed)]
  dataset = data.load(**_with_whole_paths(config.data))
  trials, metric_groups, memory = plans.checked(
    points, dataset, _names(config.metrics), config.memory_gb
  )
  if config.tensorboard:
    tensorboard.check(trials)
  folder = RunFolder.open(
    _workdir(command, dataset),
    dataset,
    config.snapshot_seconds,
    {
      "command": list(argv),
      "config": json.loads(config.to_json_best_effort())
      | {"sweep": command.axes},
    },
  )
  board = tensorboard.TensorBoard(folder.path) if config.tensorboard else None
  on_epoch = None if board is None else board.on_epoch
  plan = plans.Plan(trials, dataset, metric_groups, folder, memory, on_epoch)
  return Prepared(plan, folder)


def train(prepared: Prepared, interruption: SignalInterruption) -> None:
  """Trains what is missing, keeps it at once, prints the table."""
  begin = time.perf_counter()
  plan, folder = prepared
  progress = Progress()
  folder.say = progress.say

  def on_survey(survey: Survey) -> None:
    print(
      f"data: {plan.dataset.name}, {plan.dataset.sizes} examples of"
      f" {plan.dataset.train.shape[1:]}\n"
      f"trials: {len(plan.trials)}, of which {len(survey.complete)} are"
      f" there already; groups of one shape: {len(groups(plan.trials))}",
      *survey.remarks,
      sep="\n",
      flush=True,
    )

  cost = sweep.run(plan, progress, interruption, on_survey)
  ended = _report(prepared)
  if cost.measuring:
    _say_cost(cost)
  seconds = time.perf_counter() - begin
  print(
    f"{len(plan.trials)} trials: {ended['ok']} ok, {ended['diverged']}"
    f" diverged; {cost.num_trained} trained in {seconds:.1f} s"
  )


def _say_cost(cost: Cost) -> None:
  parts = ", ".join(
    f"{name.partition('@')[0]} {seconds:.1f}"
    for name, seconds in cost.measuring.items()
  )
  print(
    f"preparing programs: {cost.preparing:.1f} s; training:"
    f" {cost.training:.1f} s at"
    f" {cost.images / max(cost.training, 1e-9):,.0f} images/s;"
    f" measuring: {sum(cost.measuring.values()):.1f} s ({parts}); the rest:"
    " files, report"
  )


def _report(prepared: Prepared) -> collections.Counter[str]:
  """Prints the best trials and where all are; counts how they ended."""
  plan, folder = prepared
  table = results.read_rows(folder.path)
  rows = [table[trial.id] for trial in plan.trials]
  ended = collections.Counter(row["status"] for row in rows)
  by = criterion(rows)
  said = remark(rows, by)
  print(
    "\nThe best trial of each objective and latent size, by"
    f" {by.partition('_')[0]} error (||x - x~||^2, summed over\nfeatures, mean"
    " over examples), beside a PCA of the same size:\n\n"
    f"{format_table(best_trials(rows), rows)}\n\n"
    + textwrap.fill(f"{winners.sentence(rows, by)} {said}", 100)
    + "\n\n"
    + f"table:  {folder.path / results.RESULTS}\n"
    f"curves: {folder.path / curves.CURVES}\n"
    f"models: {folder.path / checkpoints.FOLDER}",
    flush=True,
  )
  histories = {row["id"]: folder.history(row["id"]) for row in rows}
  for line in diagnostics(rows, histories, plan.dataset):
    print(f"warning: {line}")
  try:
    report.check_packages()
  except UsageError as error:
    print(f"no page: {error}")
  else:
    page = report.write(folder.path, plan.dataset, modules=folder.modules)
    print(f"report: {page}")
  return ended


def _names(given: Sequence[str]) -> list[str]:
  """`("a", "b")`, and `("a, b",)`, which a command line's `a, b` becomes."""
  return [
    name
    for text in given
    for word in text.strip("()[] ").split(",")
    if (name := word.strip(" '\""))
  ]


def _with_whole_paths(fields: ConfigDict) -> dict[str, Any]:
  """The fields of `data`, its files as they are found from any folder."""
  classes = [*map(str, fields.anomaly_classes)]
  return {
    name: str(start.absolute(value))
    if value is not None and name.endswith(("path", "dir"))
    else value
    for name, value in fields.items()
  } | {"anomaly_classes": _names(classes)}


def _workdir(command: CommandLine, dataset: data.Dataset) -> Path:
  """The folder that was named, or one named after configuration and data."""
  given = command.own["workdir"]
  if given == "":
    raise UsageError("--workdir is empty; name a folder")
  if given is not None:
    return start.absolute(given)
  config = command.config
  what = {
    "objective": config.objective,
    "fixed": config.fixed.to_dict(),
    "data": data.digest(dataset),
  }
  text = json.dumps(what, sort_keys=True)
  names = [dataset.name, hashlib.sha256(text.encode()).hexdigest()[:8]]
  names[0] = names[0].replace("/", "-")
  if command.path != DEFAULT and command.path.stem != dataset.name:
    names.insert(0, command.path.stem)
  return Path("runs", "-".join(names)).absolute()
