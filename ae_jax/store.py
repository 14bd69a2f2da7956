"""Where a sweep keeps what it has trained: in memory, or in a run's folder."""

from collections.abc import (
  Callable,
  Collection,
  Iterator,
  Mapping,
  MutableMapping,
  Sequence,
)
from typing import NamedTuple, Protocol

import numpy as np

from ae_jax.engine.placement import Placement
from ae_jax.engine.program import Program
from ae_jax.engine.training_loop import Snapshot, TrainedGroup, TrainingLoop
from ae_jax.lookup import Modules
from ae_jax.metrics.evaluate import Units
from ae_jax.rows import Row
from ae_jax.trial import Trial


class Survey(NamedTuple):
  """What a store holds of a grid.

  Attributes:
    complete: ids of trials that are trained and measured.
    trained: ids of those that are trained, and not or not fully measured.
    remarks: what is worth saying of the rest, a line each.
  """

  complete: set[str]
  trained: set[str]
  remarks: list[str]


class Store(Protocol):
  """Keeps trained trials and their rows.

  Attributes:
    say: called with a line for the user.
    modules: where functions of a user may be taken from, see `lookup.among`.
  """

  say: Callable[[str], None]
  modules: Modules

  @property
  def placements(self) -> MutableMapping[str, Placement]:
    """Of programs that were chosen before."""

  def survey(
    self, trials: Sequence[Trial], metric_groups: Collection[str]
  ) -> Survey:
    """What there is of a grid."""

  def load_groups(self, trial_ids: Collection[str]) -> Iterator[TrainedGroup]:
    """Trained trials, those of one checkpoint together."""

  def rows(self, trial_ids: Sequence[str]) -> list[Row | None]:
    """The row of each trial; None where there is none."""

  def history(self, trial_id: str) -> Mapping[str, np.ndarray]:
    """The learning curves of a finished trial, term -> `[num_epochs]`."""

  def keep_model(self, trained: TrainedGroup) -> None:
    """Keeps what was just trained."""

  def keep_rows(
    self, trained: TrainedGroup, rows: Sequence[Row], units: Units
  ) -> None:
    """Keeps rows, learning curves, and metrics of code units."""

  def find_snapshot(
    self, program: Program, trials: Sequence[Trial]
  ) -> Snapshot | None:
    """Where these trials go on in this program."""

  def save_snapshot(self, loop: TrainingLoop) -> None:
    """Saves where a training is."""

  def maybe_save_snapshot(self, loop: TrainingLoop) -> None:
    """The same, if the last one is old."""

  def clear_snapshots(self) -> None:
    """Removes the snapshots of what was just trained and measured."""

  def remove_snapshots(self) -> None:
    """Removes all snapshots: nothing is left to train."""


class MemoryStore:
  """A store that knows no disk.

  Attributes:
    placements: of programs that were chosen before.
    trained: id -> the trial, a group of one.
    table: id -> row.
  """

  def __init__(self) -> None:
    self.say: Callable[[str], None] = lambda line: None
    self.modules: Modules = ()
    self.placements: MutableMapping[str, Placement] = {}
    self.trained: dict[str, TrainedGroup] = {}
    self.table: dict[str, Row] = {}

  def survey(
    self, trials: Sequence[Trial], metric_groups: Collection[str]
  ) -> Survey:
    """Nothing is there before the sweep."""
    del trials, metric_groups
    return Survey(set(), set(), [])

  def load_groups(self, trial_ids: Collection[str]) -> Iterator[TrainedGroup]:
    """Trained trials, one by one."""
    return (self.trained[trial_id] for trial_id in trial_ids)

  def rows(self, trial_ids: Sequence[str]) -> list[Row | None]:
    """The row of each trial; None where there is none."""
    return [self.table.get(trial_id) for trial_id in trial_ids]

  def history(self, trial_id: str) -> Mapping[str, np.ndarray]:
    """The learning curves of a trial."""
    history = self.trained[trial_id].history
    return {name: term[0] for name, term in history.items()}

  def keep_model(self, trained: TrainedGroup) -> None:
    """Keeps what was just trained."""
    for i, trial_id in enumerate(trained.ids):
      self.trained[trial_id] = trained.select([i])

  def keep_rows(
    self, trained: TrainedGroup, rows: Sequence[Row], units: Units
  ) -> None:
    """Keeps rows."""
    del trained, units
    self.table |= {row["id"]: row for row in rows}

  def find_snapshot(
    self, program: Program, trials: Sequence[Trial]
  ) -> Snapshot | None:
    """None."""
    del program, trials
    return None

  def save_snapshot(self, loop: TrainingLoop) -> None:
    """Does nothing."""

  def maybe_save_snapshot(self, loop: TrainingLoop) -> None:
    """Does nothing."""

  def clear_snapshots(self) -> None:
    """Does nothing."""

  def remove_snapshots(self) -> None:
    """Does nothing."""


def units_of(
  units: Units, index: int, latent_size: int
) -> dict[str, np.ndarray]:
  """The metrics of the code units of one trial, without the padding."""
  return {name: unit[index, :latent_size] for name, unit in units.items()}
