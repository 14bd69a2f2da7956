"""How a program starts: help, checks, one line at a mistake."""

import os
import sys
import warnings
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


def run_directory(values: flags.FlagValues, argv: Sequence[str]) -> Path:
  """Parses flags; returns the one run directory that is given with them.

  Raises:
    UsageError: a mistake on the command line.
  """
  values.set_gnu_getopt(True)
  try:
    _, *folders = values(argv)
  except flags.Error as error:
    raise UsageError(" ".join(str(error).split())) from error
  if len(folders) != 1:
    raise UsageError(f"name one run directory; got {len(folders)}")
  return absolute(folders[0])


def absolute(path: str) -> Path:
  """The path from the root; `~` stands for the user's home."""
  return Path(os.path.expanduser(path)).absolute()


def without_current_folder() -> None:
  """Keeps Python from finding modules beside a program, and where it runs.

  The user may be in a folder that somebody else has made. What PYTHONPATH
  names from the root stays: that folder is meant.
  """
  left_out = Path(sys.argv[0]).parent.resolve(), Path.cwd()
  named = os.environ.get("PYTHONPATH", "").split(os.pathsep)
  meant = {entry for entry in named if os.path.isabs(entry)}
  sys.path[:] = [
    entry
    for entry in sys.path
    if entry in meant or (entry and Path(entry).resolve() not in left_out)
  ]


def with_own_modules() -> None:
  """Lets Python find the user's modules in the current folder, after others."""
  if os.getcwd() not in sys.path:
    sys.path.append(os.getcwd())


def own_modules(names: list[str]) -> list[str]:
  """The names of `--modules`; Python finds them in the current folder then."""
  if names:
    with_own_modules()
  warnings.formatwarning = lambda message, *_, **__: f"warning: {message}\n"
  return names


def run(
  main: Callable[[Sequence[str]], None], argv: Sequence[str] | None = None
) -> None:
  """Runs a program, which reads its own flags.

  Args:
    main: the program.
    argv: its name and arguments; those of the process by default.
  """
  without_current_folder()
  app.run(
    main,
    None if argv is None else [*argv],
    flags_parser=lambda argv: flags.FLAGS(argv[:1]) and argv,
  )
