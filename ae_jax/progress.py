"""Progress of a sweep: trials, epochs, loss, time left."""

import sys
from collections.abc import Sequence
from typing import Self

import numpy as np
from tqdm import tqdm

from ae_jax.engine.autotune import Choice
from ae_jax.grid import Trial


class Progress:
  """A bar over epochs and metrics of all trials; in a log, a line at times."""

  def __init__(self, trials: Sequence[Trial], num_measures: int):
    self._num_trials = len(trials)
    self._finished = 0
    terminal = sys.stderr.isatty()
    self._bar = tqdm(
      total=sum(
        trial.settings["num_epochs"] + num_measures for trial in trials
      ),
      bar_format="{desc}  {percentage:3.0f}%|{bar:20}| {elapsed}, "
      + ("{remaining} left" if terminal else "{remaining} left\n"),
      mininterval=0.2 if terminal else 5.0,
      miniters=1,
      smoothing=0.1,
      disable=not trials,
    )
    self._bar.set_description_str(
      f"0/{len(trials)} trials, preparing the first program"
    )

  def on_program(self, trials: list[Trial], choice: Choice) -> None:
    """Says which program trains a group, as `sweep.OnProgram`."""
    chosen = choice.program.placement
    measured = ", ".join(
      f"{placement.devices} x {placement.trials_per_device}: {1e3 * seconds:.3g}"
      for placement, seconds in choice.seconds.items()
    )
    self.say(
      f"{trials[0].settings['objective']}: {len(trials)} trials,"
      f" {chosen.devices} x {chosen.trials_per_device} (devices x trials) at a time"
      + (f"; ms a trial-step of {measured}" if measured else "")
    )

  def say(self, line: str) -> None:
    """Writes a line above the bar."""
    tqdm.write(line, file=sys.stderr)

  def on_epoch(
    self, trials: list[Trial], epoch: int, terms: dict[str, np.ndarray]
  ) -> None:
    """Takes the news of one epoch of one chunk, as `chunk.OnEpoch`."""
    first = trials[0].settings
    if epoch == first["num_epochs"]:
      self._finished += len(trials)
    loss = terms["loss"]
    best = f"{np.nanmin(loss):.4g}" if np.isfinite(loss).any() else "diverged"
    self._bar.set_description_str(
      f"{self._finished}/{self._num_trials} trials, {len(trials)} of"
      f" {first['objective']}: epoch {epoch}/{first['num_epochs']},"
      f" best loss {best}",
      refresh=self._bar.n == 0,
    )
    self._bar.update(len(trials))

  def skip(self, trials: Sequence[Trial], num_epochs: int) -> None:
    """Counts epochs that were trained before."""
    if num_epochs == trials[0].settings["num_epochs"]:
      self._finished += len(trials)
    self._bar.update(len(trials) * num_epochs)

  def doing(self, what: str) -> None:
    """Says what is going on that has no news of its own."""
    self._bar.set_description_str(
      f"{self._finished}/{self._num_trials} trials, {what}"
    )

  def on_measured(self, metric_group: str, num_trials: int) -> None:
    """Takes the news of metrics, as `evaluation.evaluate.OnMeasured`."""
    self._bar.set_description_str(
      f"{self._finished}/{self._num_trials} trials, measured {metric_group}",
      refresh=False,
    )
    self._bar.update(num_trials)

  def __enter__(self) -> Self:
    return self

  def __exit__(self, *exception: object) -> None:
    self._bar.close()
