"""Ctrl-C in a sweep from Python: what is in training is saved first."""

import signal
import threading
from types import FrameType
from typing import Any, Protocol, Self


class Interruption(Protocol):
  """How a sweep is asked to end early."""

  def asks_to_save(self) -> bool:
    """Whether the sweep is to save what it trains, and then call `saved`."""

  def saved(self) -> None:
    """Ends the sweep; does not return."""

  def nothing_to_save(self) -> None:
    """Says that nothing is in training."""


class KeyboardInterruption:
  """Ctrl-C waits, about a second, until a step is over and is saved.

  A second Ctrl-C does not wait, nor does one while nothing is in training. In a
  thread that is not the main one nothing is changed.
  """

  def __init__(self) -> None:
    self._asked = False
    self._trains = False
    self._before: Any = None

  def asks_to_save(self) -> bool:
    """Whether Ctrl-C was pressed."""
    self._trains = True
    return self._asked

  def saved(self) -> None:
    """Raises KeyboardInterrupt."""
    raise KeyboardInterrupt

  def nothing_to_save(self) -> None:
    """Says that nothing is in training; Ctrl-C does not wait then."""
    self._trains = False
    if self._asked:
      raise KeyboardInterrupt

  def __enter__(self) -> Self:
    if threading.current_thread() is threading.main_thread():
      self._before = signal.getsignal(signal.SIGINT)
      if self._before == signal.default_int_handler:
        signal.signal(signal.SIGINT, self._interrupt)
    return self

  def __exit__(self, *exception: object) -> None:
    if signal.getsignal(signal.SIGINT) == self._interrupt:
      signal.signal(signal.SIGINT, self._before)

  def _interrupt(self, number: int, frame: FrameType | None) -> None:
    del number, frame
    if self._asked or not self._trains:
      raise KeyboardInterrupt
    self._asked = True
