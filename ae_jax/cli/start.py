"""How a program starts: help, checks, one line at a mistake."""

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from absl import app, flags, logging

from ae_jax.types import UsageError

_T = TypeVar("_T")


def checked(
  prepare: Callable[[Sequence[str]], _T], argv: Sequence[str], usage: str
) -> _T:
  """Calls `prepare(argv)`, which finds every mistake of the user.

  Exits with 0 where help is asked for, with 2 and one line at a mistake.
  """
  logging.set_verbosity(logging.WARNING)  # Orbax reports each step of a save
  if {"-h", "--help", "--helpfull"} & {*argv}:
    print(usage)
    sys.exit()
  try:
    return prepare(argv)
  except UsageError as error:
    print(f"error: {error}", file=sys.stderr)
    sys.exit(2)


def absolute(path: str) -> Path:
  """The path from the root; `~` stands for the user's home."""
  return Path(os.path.expanduser(path)).absolute()


def without_current_folder() -> None:
  """Keeps Python from finding modules beside the program, and where it runs.

  The user may be in a folder that somebody else has made.
  """
  left_out = Path(__file__).parent.resolve(), Path.cwd()
  sys.path[:] = [
    entry
    for entry in sys.path
    if entry and Path(entry).resolve() not in left_out
  ]


def run(
  main: Callable[[Sequence[str]], None], own_modules: bool = False
) -> None:
  """Runs a program, which reads its own flags.

  Args:
    main: the program.
    own_modules: whether the user's modules in the current folder are found,
      after all others.
  """
  without_current_folder()
  if own_modules:
    sys.path.append(os.getcwd())
  app.run(main, flags_parser=lambda argv: flags.FLAGS(argv[:1]) and argv)
