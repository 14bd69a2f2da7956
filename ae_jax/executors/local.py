"""Trains the groups of a sweep in this process, on its devices."""

import functools
import itertools
from collections.abc import (
  Callable,
  Collection,
  Iterable,
  Iterator,
  MutableMapping,
)

import jax

from ae_jax.engine.ahead import Ahead
from ae_jax.engine.autotune import (
  Choice,
  OutOfMemory,
  choose,
  memory_for,
  placement_to_try,
)
from ae_jax.engine.group import groups
from ae_jax.engine.input_pipeline import InputPipeline
from ae_jax.engine.placement import Placement, smaller
from ae_jax.engine.program import Program
from ae_jax.engine.training_loop import (
  OnAdvance,
  OnEpoch,
  OnParams,
  Snapshot,
  TrainedGroup,
  train,
)
from ae_jax.trial import Trial

OnProgram = Callable[[list[Trial], Choice], None]
# Trials of a program -> where they go on; None: from the start.
Resume = Callable[[Program, list[Trial]], Snapshot | None]


def train_groups(
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
  on_params: OnParams | None = None,
) -> Iterator[TrainedGroup]:
  """Trains all trials but those that are done, as many at a time as fit.

  The program of a group depends on its trials, the machine and `placements`,
  never on `done`: a sweep that was interrupted goes on with the programs that
  it had. Where one runs out of memory all the same, smaller ones follow. While
  a group trains, the program of the next one is compiled.

  Args:
    trials: the whole grid.
    pipeline: the train set.
    memory_bytes: what a program may take.
    done: ids of trials to leave out.
    placements: choices of before, see `autotune.choose`; new ones are added.
    on_program: called with the trials of a group that are to be trained and
      the choice of their program; again where that was too large.
    on_epoch: called with trials, epoch and mean terms after each epoch.
    on_advance: called about every second with what is training.
    resume: where the trials of a program go on.
    on_params: called with trials, epoch and their parameters after each epoch.

  Yields:
    Trials of one group, as soon as they are trained.

  Raises:
    OutOfMemory: a CPU has no more memory; `placements` has a smaller one.
    UsageError: one trial alone does not fit the memory.
  """
  known = {} if placements is None else placements
  rows_of = _rows(pipeline)

  def choose_program(group: list[Trial], later: list[Trial] | None) -> Choice:
    rows = rows_of(group)
    choice = choose(group, rows, memory_bytes, known, ahead.finish)
    if later is not None:
      rows = rows_of(later)
      first = placement_to_try(later, rows, memory_bytes, known)
      ahead.start(later, rows, first)
    return choice

  wanted = [g for g in groups(trials) if any(t.id not in done for t in g)]
  with Ahead() as ahead:
    for group, later in itertools.zip_longest(wanted, wanted[1:]):
      missing = [trial for trial in group if trial.id not in done]
      choice = None
      while missing:
        try:
          if choice is None:
            choice = choose_program(group, later)
            if on_program is not None:
              on_program(missing, choice)
          program, rows = choice.program, rows_of(group)
          part = missing[: program.placement.size]
          snapshot = None if resume is None else resume(program, part)
          smaller_one = smaller(program.placement)
          with memory_for(group, choice.key, smaller_one, known):
            trained = train(
              program, part, rows, on_epoch, on_advance, snapshot, on_params
            )
        except OutOfMemory:
          if jax.default_backend() == "cpu":
            raise
          choice = None
          continue
        yield trained
        missing = missing[len(part) :]


def _rows(pipeline: InputPipeline) -> Callable[[list[Trial]], InputPipeline]:
  """A group -> the train set as its objective takes it."""
  of_kind = functools.cache(pipeline.with_supervision)

  def rows_of(group: list[Trial]) -> InputPipeline:
    kind = group[0].batch_kind
    return pipeline if kind is None else of_kind(kind)

  return rows_of
