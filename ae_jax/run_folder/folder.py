"""A run's folder: all that a sweep keeps, and a lock for one runner at a time.

Files are replaced whole, so a killed run leaves each as it was before or after,
never between. A row comes last and makes a trial count.
"""

import fcntl
import os
import platform
import time
from collections.abc import (
  Callable,
  Collection,
  Iterator,
  Mapping,
  MutableMapping,
  Sequence,
)
from pathlib import Path
from typing import Any, Self, TextIO

import numpy as np

from ae_jax.atomic import (
  is_partial,
  open_lock,
  remove_partials,
  sync_folder,
)
from ae_jax.data import Dataset, stored
from ae_jax.engine.placement import Placement
from ae_jax.engine.program import Program
from ae_jax.engine.training_loop import Snapshot, TrainedGroup, TrainingLoop
from ae_jax.lookup import Modules
from ae_jax.metrics.evaluate import Units
from ae_jax.rows import Row, groups_of
from ae_jax.run_folder import (
  checkpoints,
  curves,
  own_metrics,
  results,
  run_config,
)
from ae_jax.run_folder import snapshots as snapshot_files
from ae_jax.run_folder.placements import Placements
from ae_jax.settings import possible_settings
from ae_jax.store import Survey, units_of
from ae_jax.trial import Trial
from ae_jax.types import UsageError

_LOCK = ".lock"
_FOLDERS = (
  curves.CURVES,
  curves.UNITS,
  checkpoints.FOLDER,
  snapshot_files.FOLDER,
  "tensorboard",
)


class RunFolder:
  """A `store.Store` in a folder, locked until it is closed.

  Attributes:
    path: absolute.
    placements: of programs that were chosen before.
    say: is told what is passed over because it is damaged, in one line.
    modules: where functions of a user may be taken from.
  """

  def __init__(self, path: Path, lock: TextIO, snapshot_seconds: float):
    self.path = path
    self.say: Callable[[str], None] = lambda line: None
    self.placements: MutableMapping[str, Placement] = Placements(path)
    self.modules: Modules = ()
    self._lock = lock
    self._snapshots = snapshot_files.Snapshots(
      path, snapshot_seconds, lambda line: self.say(line)
    )

  @classmethod
  def open(
    cls,
    folder: str | os.PathLike[str],
    dataset: Dataset,
    snapshot_seconds: float = 60.0,
    command: Mapping[str, Any] | None = None,
  ) -> Self:
    """Makes the folder of a run, or opens one on the same data.

    Args:
      folder: may exist.
      dataset: that is trained on; without a name or a file that it comes from
        it is kept in the folder.
      snapshot_seconds: training that a kill may cost.
      command: see `run_config.describe`.

    Raises:
      UsageError: the folder holds a run on other data, other files, a link in
        the place of a folder or a run that goes on, or cannot be written.
    """
    if not snapshot_seconds >= 0:
      raise UsageError(
        f"snapshot_seconds must be 0 or above; got {snapshot_seconds}"
      )
    path = Path(os.path.expanduser(folder)).absolute()
    checkpoints.check(path)
    try:
      lock = _locked(path)
      try:
        _remove_partials(path)
        run_config.write(path, run_config.describe(dataset, command))
        (path / curves.CURVES).mkdir(exist_ok=True)
        if dataset.standardization is not None:
          run_config.write_standardization(path, dataset.standardization)
        if dataset.source is None:
          stored.save(dataset, path / stored.DATA)
      except BaseException:
        lock.close()
        raise
    except OSError as error:
      raise UsageError(
        f"cannot write to folder {path}: {error.strerror}"
      ) from error
    return cls(path, lock, snapshot_seconds)

  @classmethod
  def reopen(cls, folder: str | os.PathLike[str]) -> Self:
    """Opens the folder of a run as it is.

    Raises:
      UsageError: there is no run, or one that goes on.
    """
    path = Path(os.path.expanduser(folder)).absolute()
    run_config.read(path)
    try:
      return cls(path, _locked(path), 0.0)
    except OSError as error:
      raise UsageError(
        f"cannot write to folder {path}: {error.strerror}"
      ) from error

  def __enter__(self) -> Self:
    return self

  def __exit__(self, *exception: object) -> None:
    self._lock.close()

  def survey(
    self, trials: Sequence[Trial], metric_groups: Collection[str]
  ) -> Survey:
    """What there is of a grid; rows without their model, curves or units go."""
    remarks = []
    if num_unreadable := results.num_unreadable(self.path):
      remarks.append(
        f"{num_unreadable} rows of {self.path / results.RESULTS} cannot be"
        " read: they are left out, and made again where this grid has them"
      )
    rows, intact = results.read_rows(self.path), checkpoints.intact(self.path)
    ids = {trial.id for trial in trials}
    earlier = _of_changed_losses(trials, rows)
    kept = {k: rows[k] for k in ids & intact & rows.keys()}
    damaged = {
      k for k, row in kept.items() if not curves.are_intact(self.path, row)
    }
    out = {
      "trials of earlier versions of a part: {}; they are left out": earlier,
      "trials of the table without an intact model: {}; they are trained"
      " again": (ids & rows.keys()) - intact,
      "trials with damaged curves or units: {}; they are measured again": (
        damaged
      ),
    }
    # Files first: no row is without them, and no other model's are joined.
    curves.remove(self.path, (ids - kept.keys()) | damaged | {*earlier})
    for remark, gone in out.items():
      if gone:
        results.remove_rows(self.path, gone)
        remarks.append(remark.format(len(gone)))
    complete = {
      trial_id
      for trial_id in kept.keys() - damaged
      if {*metric_groups} <= {*groups_of(kept[trial_id])}
    }
    return Survey(complete, (ids & intact) - complete, remarks)

  def load_groups(self, trial_ids: Collection[str]) -> Iterator[TrainedGroup]:
    """Trained trials, those of one checkpoint together."""
    return checkpoints.load_groups(self.path, trial_ids, self.modules)

  def table(self) -> list[Row]:
    """The rows of all trials whose model is intact."""
    intact = checkpoints.intact(self.path)
    return [
      _own(row)
      for trial_id, row in results.read_rows(self.path).items()
      if trial_id in intact
    ]

  def rows(self, trial_ids: Sequence[str]) -> list[Row | None]:
    """The row of each trial; None where there is none."""
    table = results.read_rows(self.path)
    return [
      _own(table[trial_id]) if trial_id in table else None
      for trial_id in trial_ids
    ]

  def history(self, trial_id: str) -> Mapping[str, np.ndarray]:
    """The learning curves of a trial."""
    return curves.read_curves(self.path, trial_id)

  def keep_model(self, trained: TrainedGroup) -> None:
    """Writes a checkpoint."""
    checkpoints.save(self.path, trained)

  def keep_rows(
    self, trained: TrainedGroup, rows: Sequence[Row], units: Units
  ) -> None:
    """Writes curves and units, then rows."""
    for i, trial_id in enumerate(trained.ids):
      history = {name: term[i] for name, term in trained.history.items()}
      own = units_of(units, i, trained.latent_sizes[i])
      curves.write(self.path, trial_id, history, own)
    groups = {name for row in rows for name in groups_of(row)}
    own_metrics.write(self.path, groups)
    results.add_rows(self.path, rows)

  def find_snapshot(
    self, program: Program, trials: Sequence[Trial]
  ) -> Snapshot | None:
    """The newest intact snapshot of these trials in this program."""
    return self._snapshots.find(program, trials)

  def save_snapshot(self, loop: TrainingLoop) -> None:
    """Saves where a training is."""
    self._snapshots.save(loop)

  def maybe_save_snapshot(self, loop: TrainingLoop) -> None:
    """The same, if the last one is old."""
    self._snapshots.maybe_save(loop)

  def clear_snapshots(self) -> None:
    """Removes the snapshots of what was just trained and measured."""
    self._snapshots.clear()

  def remove_snapshots(self) -> None:
    """Removes all snapshots: nothing is left to train."""
    self._snapshots.remove_all()


def _own(row: results.TextRow) -> Row:
  """A row without the columns that only others have."""
  return {
    name: value
    for name, value in results.typed(row).items()
    if value is not None or name == "diverged_step"
  }


def check_links(folder: Path) -> None:
  """Raises UsageError where a folder of a run is elsewhere, by a link."""
  for place in (folder / name for name in _FOLDERS):
    for path in (place, *place.glob("*")):
      if path.is_symlink():
        raise UsageError(
          f"{path} is a symbolic link, and a run writes to it: copy what it"
          " links to there"
        )


def _locked(path: Path) -> TextIO:
  """Makes the folder where it is not there, and locks it."""
  _check_own(path)
  check_links(path)
  new = [place for place in (path, *path.parents) if not place.exists()]
  path.mkdir(parents=True, exist_ok=True)
  for place in new:
    sync_folder(place.parent)
  file = path / _LOCK
  if file.is_symlink():
    raise UsageError(f"{file} is a symbolic link: remove it")
  lock = open_lock(file)
  try:
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
  except BlockingIOError:
    lock.seek(0)
    holder = lock.read().strip()
    lock.close()
    raise UsageError(f"folder {path} is in use by {holder}") from None
  lock.truncate(0)
  now = time.strftime("%Y-%m-%d %H:%M:%S")
  lock.write(f"process {os.getpid()} on {platform.node()} since {now}\n")
  lock.flush()
  return lock


def _check_own(path: Path) -> None:
  """Raises UsageError where a folder has files, but not those of a run."""
  try:
    names = {entry.name for entry in path.iterdir()}
  except FileNotFoundError:
    return
  # What a run leaves that was killed before it wrote its configuration.
  foreign = {n for n in names if n != _LOCK and not is_partial(n)}
  if foreign and run_config.CONFIG not in names:
    raise UsageError(
      f"folder {path} holds {min(foreign)!r} without {run_config.CONFIG}, so it"
      " is no run's: name a new or empty folder"
    )


def _remove_partials(path: Path) -> None:
  for place in (path, *(path / name for name in _FOLDERS)):
    remove_partials(place)


def _of_changed_losses(
  trials: Sequence[Trial], rows: Mapping[str, results.TextRow]
) -> list[str]:
  """Ids of rows whose settings are a trial's, but not the file of its loss."""
  now: dict[tuple[str, ...], dict[tuple[str, ...], str]] = {}
  for trial in trials:
    if trial.source:
      names = (*possible_settings(trial.functions),)
      texts = tuple(str(trial.settings.get(name, "")) for name in names)
      now.setdefault(names, {})[texts] = trial.id
  return [
    trial_id
    for trial_id, row in rows.items()
    for names, ids in now.items()
    if ids.get(tuple(row.get(name, "") for name in names), trial_id) != trial_id
  ]
