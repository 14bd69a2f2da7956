"""Trains a grid of autoencoders and writes the table.

./launch.sh sweep [--workdir=DIR] [--config=FILE] [--config.FIELD=VALUE ...]

  --workdir              where everything goes; default: a folder under runs/
  --config               a config file; default: digits.py
  --config.objective     one objective, by name or as module:function
  --config.data.name     a TFDS name; --config.data.path: an own .npy or .npz
  --config.fixed.NAME    a setting of all trials: num_epochs, widths, ...
  --config.sweep.NAME    values of a setting to sweep, such as (2, 8, 32)
  --config.metrics      what to metric: reconstruction, features, ...
  --config.snapshot_seconds=60, --config.tensorboard=True, --config.memory_gb,
                         ...: see README.md

The same command on the same workdir trains only what is not there yet; a wider
grid, only what is new.
"""

import collections
import dataclasses
import os
import sys
import time
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import NoReturn

import jax
import numpy as np

from ae_jax import grid, report, sweep, tensorboard
from ae_jax.cli import start
from ae_jax.cli.prepare import Run, prepare
from ae_jax.cli.signals import Interruption, say_interrupted
from ae_jax.cli.table import best_trials, format_table
from ae_jax.engine.autotune import Choice, OutOfMemory, is_of_memory
from ae_jax.engine.input_pipeline import input_pipeline
from ae_jax.engine.memory import Memory
from ae_jax.engine.program import Program
from ae_jax.engine.training_loop import Run as Training
from ae_jax.engine.training_loop import Snapshot, TrainedGroup
from ae_jax.environment import use_all_cores
from ae_jax.metrics.baselines import baselines
from ae_jax.metrics.eval_data import examples
from ae_jax.metrics.evaluate import Measured
from ae_jax.progress import Progress
from ae_jax.run_folder import (
  checkpoints,
  curves,
  load,
  placements,
  results,
  run_config,
)
from ae_jax.run_folder.snapshots import Unfinished
from ae_jax.training import batching
from ae_jax.types import UsageError


@dataclasses.dataclass
class Cost:
  """What a run has spent: images trained on, seconds by what they went to.

  Programs are prepared by compiling them and by trying placements.
  """

  images: int
  preparing: float
  training: float
  measuring: dict[str, float]


def main(argv: Sequence[str]) -> None:
  """Runs the program; exits with 2 and one line at a mistake of the user."""
  use_all_cores()
  try:
    with Interruption() as interruption:
      run = start.checked(prepare, argv, __doc__)
      with run.lock:
        train(run, interruption)
  except OutOfMemory as error:
    _start_again(run.workdir, error, interruption.status)
  except UsageError as error:  # of rows that are read while training
    _exit(2, str(error))
  except OSError as error:  # a full disk
    _exit(
      1,
      f"{error}: what was finished is kept; once this is mended, the same"
      " command goes on from here",
    )
  except (jax.errors.JaxRuntimeError, MemoryError) as error:
    if not is_of_memory(error):
      raise
    _exit(
      1,
      "out of memory: what was trained is kept; give less data, fewer"
      " --config.metrics, or more memory",
    )


def _exit(status: int, line: str) -> NoReturn:
  print(f"\nerror: {line}", file=sys.stderr)
  sys.exit(status)


def _start_again(
  workdir: Path, error: OutOfMemory, interrupted: int
) -> NoReturn:
  """Goes on in a new process, with a smaller placement; not after a signal."""
  placements.write(workdir, {error.key: error.placement}, for_all=False)
  if (
    placements.read(workdir).get(error.key) != error.placement
  ):  # a full disk, say
    _exit(1, str(error))
  if interrupted:
    say_interrupted()
    sys.exit(interrupted)
  print(
    f"\nout of memory: again with {error.placement.size} trials at a time",
    file=sys.stderr,
  )
  sys.stdout.flush()
  os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])


def train(run: Run, interruption: Interruption) -> None:
  """Trains what is missing, keeps each chunk at once, prints the table."""
  begin = time.perf_counter()
  if run.dataset.standardization is not None:
    run_config.write_standardization(run.workdir, run.dataset.standardization)
  done = load.finished(run.workdir)
  new = [trial for trial in run.trials if trial.id not in done]
  print(
    f"data: {run.dataset.name}, {run.dataset.num_train} train and"
    f" {len(run.dataset.test)} test examples of {run.dataset.train.shape[1:]}\n"
    f"trials: {len(run.trials)}, of which {len(run.trials) - len(new)} are"
    f" there already; groups of one shape: {len(sweep.groups(run.trials))}",
    flush=True,
  )
  if num_damaged := results.num_damaged(run.workdir):
    print(
      f"{num_damaged} rows of {run.workdir / results.RESULTS} were changed: they"
      " are left out, and trained again where this grid has them"
    )
  rows = results.read_rows(run.workdir)
  if earlier := _of_earlier_losses(run.trials, rows):
    results.remove_rows(run.workdir, earlier)
    print(
      f"trials of earlier versions of a loss: {len(earlier)}; they are left out"
    )
  if num_lost := sum(trial.id in rows for trial in new):
    print(
      f"trials of the table without a whole model or curves: {num_lost};"
      " they are trained again"
    )
  cost = _train_missing(run, done, new, interruption)
  ended = _report(run)
  if new:
    print(
      f"preparing programs: {cost.preparing:.1f} s; training:"
      f" {cost.training:.1f} s at"
      f" {cost.images / max(cost.training, 1e-9):,.0f} images/s;"
      f" measuring: {sum(cost.measuring.values()):.1f} s ("
      + ", ".join(f"{name} {s:.1f}" for name, s in cost.measuring.items())
      + "); the rest: files, report"
    )
  print(
    f"{len(run.trials)} trials: {ended['ok']} ok, {ended['diverged']} diverged;"
    f" {len(new)} trained in {time.perf_counter() - begin:.1f} s"
  )


def _of_earlier_losses(
  trials: Sequence[grid.Trial], rows: Mapping[str, results.TextRow]
) -> list[str]:
  """Ids of rows whose settings are a trial's, but not the file of its loss."""
  own = [trial for trial in trials if trial.source]
  names = {trial.settings["objective"]: [*trial.settings] for trial in own}
  now = {tuple(map(str, trial.settings.values())): trial.id for trial in own}
  return [
    trial_id
    for trial_id, row in rows.items()
    if now.get(
      tuple(row.get(name, "") for name in names.get(row["objective"], ())),
      trial_id,
    )
    != trial_id
  ]


def _train_missing(
  run: Run,
  done: Collection[str],
  new: Sequence[grid.Trial],
  interruption: Interruption,
) -> Cost:
  cost = Cost(0, 0.0, 0.0, {})
  found: TrainedGroup | Snapshot | None = None
  memory = Memory()
  board = tensorboard.TensorBoard(run.workdir) if run.tensorboard else None

  def on_epoch(
    trials: list[grid.Trial], epoch: int, terms: dict[str, np.ndarray]
  ) -> None:
    progress.on_epoch(trials, epoch, terms)
    if board is not None:
      board.on_epoch(trials, epoch, terms)

  def on_program(trials: list[grid.Trial], choice: Choice) -> None:
    memory.give_back()
    progress.on_program(trials, choice)
    cost.preparing += choice.taken
    placements.write(
      run.workdir,
      {choice.key: choice.program.placement},
      for_all=choice.is_new,  # not what a lack of memory made smaller
    )

  def on_advance(training: Training) -> None:
    if interruption.asks_to_save():
      unfinished.save(training)
      interruption.saved()
    unfinished.keep(training)

  def resume(
    program: Program, trials: list[grid.Trial]
  ) -> TrainedGroup | Snapshot | None:
    nonlocal found
    found = _found(run.workdir, unfinished, progress, program, trials)
    return found

  with Progress(new, len(run.metrics)) as progress:
    if not new:
      return cost
    on_device = examples(run.dataset)
    beside = None
    unfinished = Unfinished(run.workdir, run.snapshot_seconds, progress.say)
    for chunk in sweep.train_chunks(
      run.trials,
      input_pipeline(run.dataset, on_device.train),
      memory_bytes=run.memory_bytes,
      done=done,
      placements=placements.read(run.workdir),
      on_program=on_program,
      on_epoch=on_epoch,
      on_advance=on_advance,
      resume=resume,
    ):
      if chunk is not found:
        checkpoints.save(run.workdir, chunk)
        cost.images += len(chunk.trials) * _images_per_trial(run, chunk)
        cost.training += chunk.seconds
      interruption.nothing_to_save()
      if beside is None:
        begin = time.perf_counter()
        progress.doing("measuring PCA and the data")
        # Of all trials, so that a run that goes on has the same bits.
        sizes = {trial.settings["latent_size"] for trial in run.trials}
        beside = baselines(on_device, sizes, run.metrics)
        cost.measuring["PCA and data"] = time.perf_counter() - begin
      measured = sweep.measure(
        chunk, on_device, run.metrics, progress.on_measured
      )
      _keep(run, chunk, measured, sweep.rows(chunk, measured, beside))
      unfinished.clear()
      for metric_group, taken in measured.seconds.items():
        cost.measuring[metric_group] = (
          cost.measuring.get(metric_group, 0.0) + taken
        )
    unfinished.clear_all()
  return cost


def _found(
  workdir: Path,
  unfinished: Unfinished,
  progress: Progress,
  program: Program,
  trials: list[grid.Trial],
) -> TrainedGroup | Snapshot | None:
  """What there is of a chunk: trained, in training or nothing."""
  try:
    chunk = checkpoints.find(workdir, trials, program.spec)
    if chunk is not None:
      progress.say(f"{len(trials)} trials were trained before")
      progress.skip(trials, program.num_epochs)
      return chunk
  except UsageError as error:
    progress.say(f"{error}: its trials are trained again")
  snapshot = unfinished.find(program, trials)
  if snapshot is not None:
    progress.say(
      f"{len(trials)} trials go on from a snapshot, at step"
      f" {snapshot.num_done:,}"
    )
    progress.skip(trials, snapshot.num_done // program.steps_per_epoch)
  return snapshot


def _report(run: Run) -> collections.Counter[str]:
  """Prints the best trials and where all are; counts how they ended."""
  table = results.read_rows(run.workdir)
  rows = [table[trial.id] for trial in run.trials]
  ended = collections.Counter(row["status"] for row in rows)
  if ended["diverged"]:
    print(
      f"\n{ended['diverged']} of {len(rows)} trials diverged: lower"
      " learning_rate or strength, or scale the data"
      " (--config.data.standardize=True)"
    )
  print(
    "\nThe best trial of each objective and latent size, by test error"
    " (||x - x~||^2, summed over features,\nmean over examples), beside a PCA"
    f" of the same size:\n\n{format_table(best_trials(rows), rows)}\n\n"
    f"table:  {run.workdir / results.RESULTS}\n"
    f"curves: {run.workdir / curves.CURVES}\n"
    f"models: {run.workdir / checkpoints.FOLDER}",
    flush=True,
  )
  print(f"report: {report.write(run.workdir, run.dataset)}")
  return ended


def _keep(
  run: Run, chunk: TrainedGroup, measured: Measured, rows: list[sweep.Row]
) -> None:
  """Writes what was measured; its rows come last and make it count."""
  for i, trial in enumerate(chunk.trials):
    history = {name: term[i] for name, term in chunk.history.items()}
    size = trial.settings["latent_size"]
    units = {name: unit[i, :size] for name, unit in measured.units.items()}
    rows[i]["series"] = curves.write(run.workdir, trial.id, history, units)
  results.add_rows(run.workdir, rows)


def _images_per_trial(run: Run, chunk: TrainedGroup) -> int:
  settings = chunk.trials[0].settings
  size, num_steps = batching(run.dataset.num_train, settings["batch_size"])
  return size * num_steps * settings["num_epochs"]


if __name__ == "__main__":
  start.run(main, own_modules=True)
