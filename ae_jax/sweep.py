"""A sweep: every point of a grid trained and measured.

Trials that differ in numbers only form a group and share one compiled program,
which trains as many of them at a time as fit. Neither changes a result, up to
float rounding.
"""

import functools
import math
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ae_jax.data import Dataset, as_dataset
from ae_jax.data.remarks import remarks
from ae_jax.declarations import of_likelihood
from ae_jax.engine.autotune import Choice
from ae_jax.engine.group import groups
from ae_jax.engine.input_pipeline import input_pipeline
from ae_jax.engine.memory import Memory
from ae_jax.engine.program import Program
from ae_jax.engine.training_loop import (
  OnEpoch,
  OnParams,
  Snapshot,
  TrainedGroup,
  TrainingLoop,
)
from ae_jax.environment import use_all_cores
from ae_jax.epoch_order import batching
from ae_jax.evaluation import Cost, Evaluator
from ae_jax.executors import train_groups
from ae_jax.interruption import Interruption, KeyboardInterruption
from ae_jax.lookup import Modules, OneModule, all_of
from ae_jax.metrics.registry import available_groups, metric_groups
from ae_jax.plan import Plan, checked
from ae_jax.progress import Progress
from ae_jax.results import Results
from ae_jax.rows import lacks
from ae_jax.store import MemoryStore, Store, Survey
from ae_jax.trial import Trial, own_functions


def run_sweep(
  points: Iterable[Mapping[str, Any]],
  x: ArrayLike | Dataset | str | os.PathLike[str],
  *,
  test: ArrayLike | None = None,
  labels: ArrayLike | None = None,
  test_labels: ArrayLike | None = None,
  validation: ArrayLike | None = None,
  validation_labels: ArrayLike | None = None,
  factors: np.ndarray | None = None,
  standardize: bool = False,
  anomaly_classes: Sequence[Any] = (),
  missing: bool = False,
  metrics: Sequence[str | Callable] | str = available_groups(),
  folder: str | os.PathLike[str] | None = None,
  memory_gb: float | None = None,
  snapshot_seconds: float = 60.0,
  progress: bool = True,
  on_epoch: OnEpoch | None = None,
  on_params: OnParams | None = None,
) -> Results:
  """Trains and measures every point of a grid.

  With a folder everything is kept as it is finished, in the form that
  `ae-jax sweep` has; the same call again trains and measures only what is
  missing, and Ctrl-C saves what is in training before it raises
  KeyboardInterrupt. Without a folder everything is lost then. On a CPU each
  core becomes a JAX device, if JAX has not started yet.

  Args:
    points: the grid, from `grid.product`, `grid.zipped`, `grid.union` or any
      list of dicts; `+` joins them.
    x: data `[n, *features]`; a `Dataset`; a `.npy` or `.npz` file; or the name
      of a dataset, see `data.load`.
    test: data `[m, *features]`; without it a fifth of `x` is held out.
    labels: of x, `[n]`.
    test_labels: of `test`, `[m]`.
    validation: data `[k, *features]`, by which trials are chosen; without it a
      tenth of what is left of `x` is held out.
    validation_labels: of `validation`, `[k]`.
    factors: that x was made from, `[n, factors]`: numbers, which have an
      order, or words, which have none.
    standardize: gives `(x - mean) / std` for each feature.
    anomaly_classes: labels of which nothing is trained on; the metric group
      "anomaly" says how well the trials tell them from others.
    missing: whether entries of the data may be missing: those that are NaN.
    metrics: names of `metrics.columns.GROUPS`, or functions that are declared
      as metrics; "reconstruction" is always measured.
    folder: of the run; None keeps everything in memory.
    memory_gb: what a program may take; half of the device's memory by default
      (of a CPU: the machine's).
    snapshot_seconds: training that a kill may cost.
    progress: shows a bar with the time left.
    on_epoch: called with trials, epoch and mean terms after each epoch.
    on_params: called with trials, epoch and their parameters after each epoch:
      each array `[trials, ...]`, padded to the largest code of the group.

  Returns:
    The rows and the trained trials, in the order of the points, each once.

  Raises:
    UsageError: the grid, the data or the folder are not usable.
    OutOfMemory: a CPU has no more memory.
  """
  use_all_cores()
  dataset = as_dataset(
    x,
    test,
    labels,
    test_labels,
    validation=validation,
    validation_labels=validation_labels,
    factors=factors,
    standardize=standardize,
    anomaly_classes=anomaly_classes,
    missing=missing,
  )
  trials, groups_wanted, memory = checked(points, dataset, metrics, memory_gb)

  of_plan = trials, dataset, groups_wanted
  callbacks = memory, on_epoch, on_params

  bar, ids = Progress(progress), [trial.id for trial in trials]
  if folder is None:
    in_memory = MemoryStore()
    run(Plan(*of_plan, in_memory, *callbacks), bar, None)
    return _told(Results(in_memory, ids, dataset), bar)
  from ae_jax.run_folder.folder import RunFolder  # here: it loads Orbax

  with (
    RunFolder.open(folder, dataset, snapshot_seconds) as store,
    KeyboardInterruption() as interruption,
  ):
    run(Plan(*of_plan, store, *callbacks), bar, interruption)
  return _told(Results(store, ids, dataset), bar)


def _told(results: Results, progress: Progress) -> Results:
  """The results, once their warnings are shown."""
  if progress.shown:
    for line in results.warnings:
      progress.say(f"warning: {line}")
  return results


def evaluate(
  folder: str | os.PathLike[str],
  metrics: Sequence[str | Callable] | str = available_groups(),
  x: ArrayLike | Dataset | str | os.PathLike[str] | None = None,
  *,
  on_all: bool = False,
  modules: Modules | OneModule = (),
  progress: bool = True,
) -> Results:
  """Measures the finished trials of a run by more metrics.

  What their rows do not have yet is computed from the models on disk.

  Args:
    folder: of the run.
    metrics: names of `metrics.columns.GROUPS`, or functions that are declared
      as metrics.
    x: the data that it was trained on, see `run_sweep`, or the `Dataset`; None
      loads them.
    on_all: whether every metric is measured on all examples, also such as were
      measured on a part of them, see `metrics.subset`.
    modules: where functions of a user may be taken from, see `load`.
    progress: shows a bar with the time left.

  Returns:
    All trials of the run.

  Raises:
    UsageError: there is no run, or its dataset is not the one that it was
      trained on.
  """
  from ae_jax.run_folder.dataset import dataset_of
  from ae_jax.run_folder.folder import RunFolder  # here: it loads Orbax

  use_all_cores()
  wanted, bar = metric_groups(metrics), Progress(progress)
  given = None if x is None else as_dataset(x)
  with RunFolder.reopen(folder) as store:
    store.modules = modules = all_of(modules)
    dataset = dataset_of(store.path, given, modules)
    table = store.table()
    lacking = [
      row for row in table if any(lacks(row, name, on_all) for name in wanted)
    ]
    sizes = [row["latent_size"] for row in table]
    if lacking:
      evaluator = Evaluator(store, dataset, wanted, sizes, bar, on_all)
      with bar.over([row["num_epochs"] for row in lacking], wanted):
        evaluator.measure_stored([row["id"] for row in lacking])
    else:
      bar.say(
        "every trial is measured by these metrics already, as far as the data"
        " (labels, factors) and the code (Gaussian) allow"
      )
    return Results(store, [row["id"] for row in table], dataset)


def run(
  plan: Plan,
  progress: Progress,
  interruption: Interruption | None = None,
  on_survey: Callable[[Survey], None] | None = None,
) -> Cost:
  """Trains and measures what is missing; keeps each part at once.

  Args:
    plan: what to do.
    progress: shows what is going on.
    interruption: asks to end early.
    on_survey: called with what is there already; its remarks are shown by
      default.

  Returns:
    What it took.
  """
  plan.store.say = progress.say
  plan.store.modules = own_functions(plan.trials)
  survey = plan.store.survey(plan.trials, plan.metric_groups)
  likelihoods = [trial.functions["likelihood"] for trial in plan.trials]
  supports = {of_likelihood(likelihood).support for likelihood in likelihoods}
  is_gaussian = (-math.inf, math.inf) in supports
  survey.remarks.extend(remarks(plan.dataset, is_gaussian))
  for line in survey.remarks if on_survey is None else ():
    progress.say(line)
  if on_survey is not None:
    on_survey(survey)
  missing = [t for t in plan.trials if t.id not in survey.complete]
  evaluator = Evaluator(
    plan.store,
    plan.dataset,
    plan.metric_groups,
    [trial.settings["latent_size"] for trial in plan.trials],
    progress,
  )
  if missing:
    epochs = [trial.settings["num_epochs"] for trial in missing]
    untrained = [t for t in missing if t.id not in survey.trained]
    programs = len(groups(untrained))
    with progress.over(epochs, plan.metric_groups, programs):
      evaluator.measure_stored(survey.trained)
      done = survey.complete | survey.trained
      _train(plan, done, evaluator, progress, interruption)
  return evaluator.cost


def _train(
  plan: Plan,
  done: set[str],
  evaluator: Evaluator,
  progress: Progress,
  interruption: Interruption | None,
) -> None:
  """Trains and measures all trials but those that are done."""
  store, cost, memory = plan.store, evaluator.cost, Memory()

  def on_program(trials: list[Trial], choice: Choice) -> None:
    memory.give_back()
    progress.on_program(trials, choice)
    cost.preparing += choice.taken

  def on_epoch(
    trials: list[Trial], epoch: int, terms: dict[str, np.ndarray]
  ) -> None:
    progress.on_epoch(trials, epoch, terms)
    if plan.on_epoch is not None:
      plan.on_epoch(trials, epoch, terms)

  def on_advance(loop: TrainingLoop) -> None:
    if interruption is not None and interruption.asks_to_save():
      store.save_snapshot(loop)
      interruption.saved()
    store.maybe_save_snapshot(loop)

  if all(trial.id in done for trial in plan.trials):
    return
  for trained in train_groups(
    plan.trials,
    input_pipeline(plan.dataset, evaluator.data.train),
    memory_bytes=plan.memory_bytes,
    done=done,
    placements=store.placements,
    on_program=on_program,
    on_epoch=on_epoch,
    on_advance=on_advance,
    resume=functools.partial(_resume, store, progress),
    on_params=plan.on_params,
  ):
    store.keep_model(trained)
    cost.num_trained += len(trained.ids)
    cost.images += len(trained.ids) * _images_per_trial(plan, trained)
    cost.training += trained.seconds
    if interruption is not None:
      interruption.nothing_to_save()
    evaluator.measure(trained)
    store.clear_snapshots()
  store.remove_snapshots()


def _resume(
  store: Store, progress: Progress, program: Program, trials: list[Trial]
) -> Snapshot | None:
  """Where trials go on, if there is a snapshot of them."""
  snapshot = store.find_snapshot(program, trials)
  if snapshot is not None:
    progress.say(
      f"{len(trials)} trials go on from a snapshot, at step"
      f" {snapshot.num_done:,}"
    )
    epochs = snapshot.num_done // program.steps_per_epoch
    progress.skip(len(trials), epochs, program.num_epochs)
  return snapshot


def _images_per_trial(plan: Plan, trained: TrainedGroup) -> int:
  settings = trained.settings[0]
  size, num_steps = batching(plan.dataset.num_train, settings["batch_size"])
  return size * num_steps * settings["num_epochs"]
