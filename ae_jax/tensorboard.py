"""Learning curves for TensorBoard, written while trials train."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ae_jax.engine.group import groups
from ae_jax.extras import require
from ae_jax.trial import Trial
from ae_jax.types import UsageError

FOLDER = "tensorboard"
_MAX = 256  # open files and threads


def check(trials: Sequence[Trial]) -> None:
  """Raises UsageError unless a process can have so many logs open."""
  require("tensorboard", "tensorboardX")
  most = max(map(len, groups(trials)))
  if most > _MAX:
    raise UsageError(
      f"tensorboard=True keeps a log open for each of {most} trials of one"
      f" shape; {_MAX} are allowed: leave it off, curves/ has the same numbers"
    )


class TensorBoard:
  """One log of scalars a trial, `<folder>/tensorboard/<objective>-<id>`.

  `run_sweep(..., on_epoch=TensorBoard(folder).on_epoch)` writes them.
  """

  def __init__(self, folder: str | os.PathLike[str]):
    """Writes into a folder.

    Raises:
      UsageError: tensorboardX is not installed.
    """
    require("tensorboard", "tensorboardX")
    self._folder = Path(os.path.expanduser(folder)) / FOLDER
    self._trials: list[Trial] = []
    self._writers: list[Any] = []

  def on_epoch(
    self, trials: list[Trial], epoch: int, terms: dict[str, np.ndarray]
  ) -> None:
    """Takes the news of one epoch, as `training_loop.OnEpoch`."""
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

  def _writer(self, trial: Trial, epoch: int) -> Any:
    from tensorboardX import SummaryWriter  # here: it is an extra

    # A run that was killed may have written the same epochs: hide those.
    name = trial.settings["objective"].replace(":", ".")
    return SummaryWriter(
      str(self._folder / f"{name}-{trial.id}"), purge_step=epoch
    )
