"""How a command that works for long ends: one line, and what goes on."""

import contextlib
import sys
from collections.abc import Iterator
from typing import NoReturn

import jax

from ae_jax.engine.autotune import OutOfMemory, is_of_memory
from ae_jax.types import UsageError


@contextlib.contextmanager
def one_line() -> Iterator[None]:
  """Ends the process with one line where the machine gives no more."""
  try:
    yield
  except OutOfMemory as error:
    _exit(1, f"{error}: run the same command again")
  except UsageError as error:  # of rows that are read while training
    _exit(2, str(error))
  except OSError as error:  # a full disk
    _exit(
      1,
      f"{error}: what was finished is kept; once this is mended, the same"
      " command goes on from here",
    )
  except (jax.errors.JaxRuntimeError, MemoryError) as error:
    if not is_of_memory(error):
      raise
    _exit(
      1,
      "out of memory: what was trained is kept; give less data, fewer"
      " metrics, or more memory",
    )


def _exit(status: int, line: str) -> NoReturn:
  print(f"error: {line}", file=sys.stderr)
  sys.exit(status)
