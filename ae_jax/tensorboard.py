"""Learning curves for TensorBoard, written while trials train."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from tensorboardX import SummaryWriter

from ae_jax.engine.group import groups
from ae_jax.trial import Trial
from ae_jax.types import UsageError

FOLDER = "tensorboard"
_MAX = 256  # open files and threads


def check(trials: Sequence[Trial]) -> None:
  """Raises UsageError where more logs would be open than a process can have."""
  most = max(map(len, groups(trials)))
  if most > _MAX:
    raise UsageError(
      f"tensorboard=True keeps a log open for each of {most} trials of one"
      f" shape; {_MAX} are allowed: leave it off, curves/ has the same numbers"
    )


class TensorBoard:
  """One log of scalars a trial, `<folder>/tensorboard/<objective>-<id>`."""

  def __init__(self, folder: Path):
    self._folder = folder / FOLDER
    self._trials: list[Trial] = []
    self._writers: list[SummaryWriter] = []

  def on_epoch(
    self, trials: list[Trial], epoch: int, terms: dict[str, np.ndarray]
  ) -> None:
    """Takes the news of one epoch of some trials, as `training_loop.OnEpoch`."""
    if trials != self._trials:
      self._trials = trials
      self._writers = [self._writer(trial, epoch) for trial in trials]
    for i, writer in enumerate(self._writers):
      for name, term in terms.items():
        writer.add_scalar(name, float(term[i]), epoch)
      writer.flush()
    if epoch == trials[0].settings["num_epochs"]:
      for writer in self._writers:
        writer.close()

  def _writer(self, trial: Trial, epoch: int) -> SummaryWriter:
    # A run that was killed may have written the same epochs: hide those.
    name = trial.settings["objective"].replace(":", ".")
    return SummaryWriter(
      str(self._folder / f"{name}-{trial.id}"), purge_step=epoch
    )
