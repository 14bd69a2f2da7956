"""SIGINT and SIGTERM in a run: it saves what it trains, and ends."""

import contextlib
import os
import signal
import sys
import threading
from types import TracebackType
from typing import Self

_SECONDS = 8.0  # that a run has for saving


class SignalInterruption:
  """Ends the process at a signal, within ten seconds, wherever it is.

  A thread of its own waits for the signal: the main one may be inside XLA for
  long. Files are whole at any moment, so that the process may end at any; what
  is being trained has a last chance to be saved. A run that ends by itself
  meanwhile, well or by an error, ends as it does.

  Attributes:
    status: that the process is to end with; 0 without a signal.
  """

  def __init__(self) -> None:
    self.status = 0
    self._trains = False
    self._over = False
    self._saved = threading.Event()

  def asks_to_save(self) -> bool:
    """Whether the run is to save what it trains, and to call `saved`."""
    self._trains = True
    return self.status > 0

  def nothing_to_save(self) -> None:
    """Says that nothing is in training."""
    self._trains = False
    self._saved.set()
    self._saved = threading.Event()

  def saved(self) -> None:
    """Says that all is saved; does not return."""
    self._saved.set()
    threading.Event().wait()

  def __enter__(self) -> Self:
    ours, theirs = os.pipe()
    os.set_blocking(theirs, False)
    self._pipe = theirs
    signal.set_wakeup_fd(theirs)
    self._before = {
      number: signal.signal(number, lambda *_: None)
      for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
      if signal.getsignal(number) != signal.SIG_IGN  # as `nohup` has it
    }
    self._watcher = threading.Thread(
      target=self._watch, args=(ours,), daemon=True
    )
    self._watcher.start()
    return self

  def __exit__(
    self,
    kind: type[BaseException] | None,
    error: BaseException | None,
    traceback: TracebackType | None,
  ) -> None:
    self._over = True
    self._saved.set()
    for number, handler in self._before.items():
      signal.signal(number, handler)
    signal.set_wakeup_fd(-1)
    os.close(self._pipe)
    self._watcher.join()

  def _watch(self, pipe: int) -> None:
    number = os.read(pipe, 1)
    if not number:  # the end of the run
      os.close(pipe)
      return
    self.status = 128 + number[0]
    if self._trains:
      self._saved.wait(_SECONDS)
    if self._over:
      os.close(pipe)
      return
    say_interrupted()
    os._exit(self.status)


def say_interrupted() -> None:
  """Says how to go on, where there is anybody to hear it."""
  with contextlib.suppress(OSError):  # the terminal or the pipe is closed
    print("\ninterrupted: the same command goes on from here", file=sys.stderr)
    sys.stderr.flush()
  with contextlib.suppress(OSError):
    sys.stdout.flush()
