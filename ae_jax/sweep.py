"""A sweep: trials in groups of one shape, groups in chunks that fit.

Trials that differ in numbers only (seed, latent size, learning rate, strength,
...) form a group and share one compiled program, which trains a chunk of them
at a time. Neither changes a result, up to float rounding. This file knows no
disk.
"""

import functools
import os
import textwrap
import traceback
from collections.abc import (
  Callable,
  Collection,
  Iterable,
  Iterator,
  Mapping,
  MutableMapping,
  Sequence,
)
from typing import Any

import jax
import numpy as np

from ae_jax.data import Dataset, from_arrays, to_float, value_range
from ae_jax.data.supervision import Pairs, beside
from ae_jax.engine.autotune import (
  Choice,
  OutOfMemory,
  choose,
  memory_for,
  smaller,
)
from ae_jax.engine.input_pipeline import InputPipeline, input_pipeline
from ae_jax.engine.program import Placement, Program, build, stack
from ae_jax.engine.training_loop import (
  OnAdvance,
  OnEpoch,
  Snapshot,
  TrainedGroup,
  run_program,
)
from ae_jax.grid import RESERVED, Trial, resolve
from ae_jax.metrics.baselines import Baselines, baselines
from ae_jax.metrics.eval_data import Examples, examples
from ae_jax.metrics.evaluate import Measured, OnMeasured, evaluate
from ae_jax.metrics.registry import GROUPS, METRICS, metric_groups
from ae_jax.networks import autoencoder, unpad
from ae_jax.objectives import OBJECTIVES
from ae_jax.trained import Trained
from ae_jax.types import Labeled, UsageError

Row = dict[str, Any]
OnProgram = Callable[[list[Trial], Choice], None]
# Trials of a program -> what there is of them: trained, in training or nothing.
Resume = Callable[[Program, list[Trial]], TrainedGroup | Snapshot | None]


def run(
  points: Iterable[Mapping[str, Any]],
  train: np.ndarray | Dataset,
  test: np.ndarray | None = None,
  *,
  metrics: Sequence[str] = tuple(GROUPS),
  memory_bytes: int | None = None,
  on_epoch: OnEpoch | None = None,
) -> list[Trained]:
  """Trains and metrics every point of a grid; needs no files.

  Args:
    points: the grid, from `grid.product`, `grid.zipped`, `grid.union` or any
      list of dicts; `+` joins them.
    train: data `[n, *features]`, or a dataset with its test part.
    test: data `[m, *features]`; without it a fifth of `train` is held out.
    metrics: metric_groups of `evaluation.metrics.GROUPS`; "reconstruction" is
      always measured.
    memory_bytes: what a program may take; half of the memory by default.
    on_epoch: called with trials, epoch and mean terms after each epoch.

  Returns:
    The trained trials, in the order of the points, each once.

  Raises:
    UsageError: the grid or the data are not usable.
    OutOfMemory: a CPU has no more memory.
  """
  dataset = train if isinstance(train, Dataset) else from_arrays(train, test)
  trials = resolve(points)
  memory = memory_bytes or half_of_memory()
  check(trials, dataset, memory)
  data = examples(dataset)
  wanted = metric_groups(metrics)
  sizes = {trial.settings["latent_size"] for trial in trials}
  of_baselines = baselines(data, sizes, wanted)
  trained = {}
  for chunk in train_chunks(
    trials,
    input_pipeline(dataset, data.train),
    memory_bytes=memory,
    on_epoch=on_epoch,
  ):
    chunk_rows = rows(chunk, measure(chunk, data, wanted), of_baselines)
    for i, trial in enumerate(chunk.trials):
      size = trial.settings["latent_size"]
      own = trial.spec(dataset.train.shape[1:], size)
      padded = jax.tree.map(lambda p, i=i: p[i], chunk.params)
      trained[trial.id] = Trained(
        row=chunk_rows[i],
        history={name: term[i] for name, term in chunk.history.items()},
        spec=own,
        model=autoencoder(own),
        params=unpad(padded, size),
        standardization=dataset.standardization,
        data_range=value_range(dataset),
        bytes=dataset.bytes,
      )
  return [trained[trial.id] for trial in trials]


def measure(
  chunk: TrainedGroup,
  data: Examples,
  wanted: Sequence[str],
  on_measured: OnMeasured | None = None,
) -> Measured:
  """Measures all trials of a chunk; see `evaluation.evaluate`."""
  sizes = [trial.settings["latent_size"] for trial in chunk.trials]
  return evaluate(chunk.spec, chunk.params, sizes, data, wanted, on_measured)


def groups(trials: Iterable[Trial]) -> list[list[Trial]]:
  """Trials that share a compiled program, in the order of their first one."""
  by_group: dict[str, list[Trial]] = {}
  for trial in trials:
    by_group.setdefault(trial.group, []).append(trial)
  return list(by_group.values())


def train_chunks(
  trials: Iterable[Trial],
  pipeline: InputPipeline,
  *,
  memory_bytes: int,
  done: Collection[str] = (),
  placements: MutableMapping[str, Placement] | None = None,
  on_program: OnProgram | None = None,
  on_epoch: OnEpoch | None = None,
  on_advance: OnAdvance | None = None,
  resume: Resume | None = None,
) -> Iterator[TrainedGroup]:
  """Trains all trials but those that are done, a chunk at a time.

  The program of a group depends on its trials, the machine and `placements`,
  never on `done`: a sweep that was interrupted goes on with the programs that
  it had. Where one runs out of memory all the same, smaller ones follow.

  Args:
    trials: the whole grid.
    pipeline: the train set.
    memory_bytes: what a program may take.
    done: ids of trials to leave out.
    placements: choices of before, see `placement.choose`; new ones are added.
    on_program: called with the trials of a group that are to be trained and
      the choice of their program; again where that was too large.
    on_epoch: called with trials, epoch and mean terms after each epoch.
    on_advance: called about every second with what is training.
    resume: where the trials of a chunk go on.

  Yields:
    Each chunk as soon as it is trained.

  Raises:
    OutOfMemory: a CPU has no more memory; `placements` has a smaller one.
    UsageError: one trial alone does not fit the memory.
  """
  known = {} if placements is None else placements
  for group in groups(trials):
    missing = [trial for trial in group if trial.id not in done]
    if not missing:
      continue
    kind = group[0].beside
    own = pipeline if kind is None else pipeline.with_supervision(kind)
    choice = None
    while missing:
      try:
        if choice is None:
          choice = choose(group, own, memory_bytes, known)
          if on_program is not None:
            on_program(missing, choice)
        program = choice.program
        part = missing[: program.placement.size]
        chunk = None if resume is None else resume(program, part)
        if not isinstance(chunk, TrainedGroup):
          with memory_for(group, choice.key, smaller(program.placement), known):
            chunk = run_program(program, part, own, on_epoch, on_advance, chunk)
      except OutOfMemory:
        if jax.default_backend() == "cpu":
          raise
        choice = None
        continue
      yield chunk
      missing = missing[len(part) :]


def rows(
  chunk: TrainedGroup, measured: Measured, beside: Baselines
) -> list[Row]:
  """The lines of the table: one dict a trial.

  Columns: `id`; `status`, "ok" or "diverged"; `diverged_step`, from 0 (None
  where it is ok); every setting; every term of the loss, mean over the last
  epoch; the metrics of `evaluation.metrics`; `seconds` and
  `evaluation_seconds`, the trial's share of training and of measuring.

  Args:
    chunk: trained trials.
    measured: their metrics.
    beside: those of the baselines.
  """
  table = []
  for i, trial in enumerate(chunk.trials):
    own = {name: column[i] for name, column in measured.columns.items()}
    values = own | beside[trial.settings["latent_size"]]
    diverged_step = int(chunk.diverged_at[i])
    errors = [values[f"{part}_squared_error"] for part in ("train", "test")]
    if diverged_step < 0 and not np.all(np.isfinite(errors)):
      diverged_step = chunk.num_steps - 1  # by the update of the last step
    table.append(
      {
        "id": trial.id,
        "status": "ok" if diverged_step < 0 else "diverged",
        "diverged_step": None if diverged_step < 0 else diverged_step,
        **trial.settings,
        **{name: float(term[i, -1]) for name, term in chunk.history.items()},
        **{name: float(values[name]) for name in METRICS if name in values},
        "seconds": chunk.seconds / len(chunk.trials),
        "evaluation_seconds": sum(measured.seconds.values())
        / len(chunk.trials),
      }
    )
  return table


def check(trials: list[Trial], dataset: Dataset, memory_bytes: int) -> None:
  """Traces the training of every group, without compiling or running it.

  Raises:
    UsageError: a network or its output does not fit the data; the state of a
      single trial does not fit the memory; or an objective does not give a
      scalar loss and a dict of scalar terms with names of their own.
  """
  rows_of = functools.cache(lambda kind: beside(dataset, dataset.train, kind))
  columns = {*RESERVED}.union(*(trial.settings for trial in trials))
  for group in groups(trials):
    name = group[0].settings["objective"]
    _check_range(group[0].settings["likelihood"], dataset.train)
    one = build(group, dataset.train.shape[1:], dataset.num_train)
    key, hyper = jax.tree.map(lambda x: x[0], stack(group[:1]))
    batch = _minibatch(group[0], dataset, rows_of)
    try:
      state = jax.eval_shape(one.init, key, hyper)
      result = jax.eval_shape(
        lambda state, one=one, key=key, batch=batch, hyper=hyper: one.loss(
          state.params, key, batch, one.at_step(hyper, state.step)
        ),
        state,
      )
    except Exception as error:
      if name in OBJECTIVES:
        raise
      raise UsageError(_where(name, error)) from error
    if any(
      not jax.numpy.issubdtype(x.dtype, np.floating)
      for x in jax.tree.leaves(state.params)
    ):
      raise UsageError(f"objective {name} has parameters that are no floats")
    needed = sum(x.size * x.dtype.itemsize for x in jax.tree.leaves(state))
    if needed > memory_bytes:
      raise UsageError(
        f"one trial of {name} takes {needed / 1e9:.3g} GB at the largest"
        f" latent_size, and {memory_bytes / 1e9:.3g} GB are given"
      )
    shapes = jax.tree.map(lambda x: x.shape, result)
    match shapes:
      case ((), dict() as terms) if all(s == () for s in terms.values()):
        pass
      case _:
        raise UsageError(
          f"objective {name} must return a scalar loss and a dict of scalars;"
          f" it returns shapes {shapes}"
        )
    taken = [
      term
      for term in result[1]
      if term in columns or term.startswith(("pca_", "pixels_"))
    ]
    if taken:
      raise UsageError(
        f"objective {name} names a term {taken[0]!r}; that is another column"
        " of the table"
      )


def _minibatch(
  trial: Trial, dataset: Dataset, rows_of: Callable[[str], Any]
) -> Any:
  """Two examples as the trial's objective takes them.

  Args:
    trial: whose objective it is.
    dataset: to take them from.
    rows_of: what is beside them -> `data.beside.beside`.

  Raises:
    UsageError: the dataset has not what it needs.
  """
  x = dataset.train[:2]
  if trial.beside is None:
    return x
  rows = rows_of(trial.beside)
  if isinstance(rows, Pairs):
    return np.stack([x, x], axis=1)
  num_classes = int(rows.label.max()) + 1
  if num_classes > trial.settings["num_classes"]:
    raise UsageError(
      f"num_classes is {trial.settings['num_classes']}; this data has"
      f" {num_classes} classes"
    )
  return Labeled(x, rows.label[:2])


def _check_range(output: str, x: np.ndarray) -> None:
  if output not in ("bernoulli", "logistic_mixture"):
    return
  low, high = to_float(x.min()), to_float(x.max())
  if not 0 <= low <= high <= 1:
    raise UsageError(
      f"output {output!r} needs data in [0, 1]; these are in"
      f" [{low:.4g}, {high:.4g}]: take output 'linear' or 'sigmoid'"
    )


def _where(name: str, error: Exception) -> str:
  """Says in one line what a user's objective raised, and on which line."""
  module = name.partition(":")[0]
  frames = [
    frame
    for frame, _ in traceback.walk_tb(error.__traceback__)
    if frame.f_globals.get("__name__") == module
  ]
  line = f" (line {frames[-1].f_lineno})" if frames else ""
  reason = textwrap.shorten(f"{type(error).__name__}: {error}", 300)
  return f"objective {name}{line} raised {reason}"


def half_of_memory() -> int:
  """Half of what the device has in all, in bytes (a CPU: the machine)."""
  stats = jax.devices()[0].memory_stats()
  if stats and "bytes_limit" in stats:
    return stats["bytes_limit"] // 2
  return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
