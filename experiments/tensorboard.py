"""Learning curves for TensorBoard, written while trials train."""

from pathlib import Path

import numpy as np
from tensorboardX import SummaryWriter

from ae_jax.grid import Trial

FOLDER = "tensorboard"


class TensorBoard:
  """One log of scalars a trial, `<workdir>/tensorboard/<objective>-<id>`."""

  def __init__(self, workdir: Path):
    self._folder = workdir / FOLDER
    self._writers: list[SummaryWriter] = []

  def on_epoch(
    self, trials: list[Trial], epoch: int, terms: dict[str, np.ndarray]
  ) -> None:
    """Takes the news of one epoch of one chunk, as `program.OnEpoch`."""
    if epoch == 1:
      self._writers = [self._writer(trial) for trial in trials]
    for i, writer in enumerate(self._writers):
      for name, term in terms.items():
        writer.add_scalar(name, float(term[i]), epoch)
      writer.flush()
    if epoch == trials[0].settings["num_epochs"]:
      for writer in self._writers:
        writer.close()

  def _writer(self, trial: Trial) -> SummaryWriter:
    # A run that was killed may have written the same epochs: hide those.
    name = trial.settings["objective"].replace(":", ".")
    return SummaryWriter(str(self._folder / f"{name}-{trial.id}"), purge_step=1)
