"""Progress of a sweep: trials, epochs, loss, time left."""

import contextlib
import importlib.util
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from ae_jax.engine.autotune import Choice
from ae_jax.time_left import TimeLeft
from ae_jax.trial import Trial

# The kinds of work that are no metric groups.
_PROGRAMS, _EPOCHS = "programs", "epochs"


class Progress:
  """A bar over epochs and metrics of all trials; in a log, a line at times.

  In a notebook with ipywidgets it is a widget.

  Attributes:
    shown: whether anything is.
  """

  def __init__(self, shown: bool = True):
    self.shown = shown and sys.stderr is not None
    self._num_trials = 0
    self._finished = 0
    self._bar: Any = None
    self._left = TimeLeft({})
    self._is_new = True  # no epoch was shown yet

  @contextlib.contextmanager
  def over(
    self,
    num_epochs: Sequence[int],
    metric_groups: Sequence[str],
    num_programs: int = 0,
  ) -> Iterator[None]:
    """Shows the bar of trials that take so many epochs each."""
    self._num_trials, self._finished, self._is_new = len(num_epochs), 0, True
    if not self.shown:
      yield
      return
    terminal = sys.stderr.isatty()
    left = "{remaining} left" if terminal else "{remaining} left\n"
    self._left = TimeLeft(
      dict.fromkeys(metric_groups, len(num_epochs))
      | {_PROGRAMS: num_programs, _EPOCHS: sum(num_epochs)}
    )
    options: dict[str, Any] = (
      {}
      if _in_notebook()
      else {
        "bar_format": "{desc}  {percentage:3.0f}%|{bar:20}| {elapsed}, " + left,
        "file": _STDERR,
      }
    )
    with _tqdm()(
      mininterval=0.2 if terminal else 5.0,
      miniters=0,
      smoothing=0,  # see _update
      **options,
    ) as self._bar:
      self.doing("preparing the first program")
      yield
    self._bar = None

  def say(self, line: str) -> None:
    """Writes a line above the bar."""
    if self.shown:
      _tqdm().write(line, file=_STDERR)

  def doing(self, what: str) -> None:
    """Says what is going on that has no news of its own."""
    self._describe(what)

  def did_once(self) -> None:
    """What was going on is not done again."""
    self._left.skip(_EPOCHS, 0)

  def on_program(self, trials: list[Trial], choice: Choice) -> None:
    """Says which program trains a group."""
    self._left.did(_PROGRAMS, 1)
    devices, size = choice.program.placement
    measured = ", ".join(
      f"{placement.devices} x {placement.trials_per_device}:"
      f" {1e3 * seconds:.3g}"
      for placement, seconds in choice.seconds.items()
    )
    self.say(
      f"{trials[0].settings['objective']}: {len(trials)} trials,"
      f" {devices} x {size} (devices x trials) at a time"
      + (f"; ms a trial-step of {measured}" if measured else "")
    )

  def on_epoch(
    self, trials: list[Trial], epoch: int, terms: dict[str, np.ndarray]
  ) -> None:
    """Takes the news of one epoch of some trials."""
    first = trials[0].settings
    if epoch == first["num_epochs"]:
      self._finished += len(trials)
    loss = terms["loss"]
    best = f"{np.nanmin(loss):.4g}" if np.isfinite(loss).any() else "diverged"
    is_first, self._is_new = self._is_new, False
    self._left.did(_EPOCHS, len(trials))
    self._describe(
      f"{len(trials)} of {first['objective']}: epoch"
      f" {epoch}/{first['num_epochs']}, best loss {best}",
      refresh=is_first,
    )
    self._update()

  def on_metrics(self, metric_group: str, num_trials: int) -> None:
    """Takes the news of metrics."""
    name = metric_group.partition("@")[0]  # a user's has a digest
    self._left.did(metric_group, num_trials)
    self._describe(f"measured {name}", refresh=False)
    self._update()

  def skip(self, num_trials: int, num_done: int, num_epochs: int) -> None:
    """Counts epochs that were trained before."""
    if num_done == num_epochs:
      self._finished += num_trials
    self._left.skip(_EPOCHS, num_trials * num_done)
    self._update()

  def skip_metrics(self, metric_groups: Iterable[str], num_trials: int) -> None:
    """Counts what was measured before."""
    for name in metric_groups:
      self._left.skip(name, num_trials)
    self._update()

  def _describe(self, what: str, refresh: bool = True) -> None:
    if self._bar is not None:
      self._bar.set_description_str(
        f"{self._finished}/{self._num_trials} trials, {what}", refresh=refresh
      )

  def _update(self) -> None:
    """The bar counts seconds: those that passed, of all that it will take."""
    if self._bar is None:
      return
    left, elapsed = self._left.seconds(), self._left.elapsed
    if left is None:
      self._bar.update(0)
    else:
      self._bar.total = elapsed + left
      self._bar.update(elapsed - self._bar.n)


class _Stderr:
  """`sys.stderr`, which may have lost its reader: no reason to end a run."""

  def write(self, text: str) -> None:
    with contextlib.suppress(BrokenPipeError):
      sys.stderr.write(text)

  def flush(self) -> None:
    with contextlib.suppress(BrokenPipeError):
      sys.stderr.flush()

  def __getattr__(self, name: str) -> Any:
    return getattr(sys.stderr, name)


_STDERR = _Stderr()


def _in_notebook() -> bool:
  """Whether a widget can be shown."""
  ipython = sys.modules.get("IPython")
  shell = ipython.get_ipython() if ipython else None
  has_kernel = getattr(shell, "kernel", None) is not None
  return has_kernel and importlib.util.find_spec("ipywidgets") is not None


def _tqdm() -> Any:
  if _in_notebook():
    from tqdm import notebook

    return notebook.tqdm
  import tqdm

  return tqdm.tqdm
