"""The command `ae-jax`, also `python -m ae_jax`.

ae-jax COMMAND ...

  sweep       trains a grid of autoencoders and writes the table
  report      writes the page of a run anew, or draws its picture
  evaluate    measures a finished run by more metrics
  encode, decode, reconstruct, sample, search, export, compress, decompress
              use a trained model of a run

`ae-jax COMMAND --help` says more of each.
"""

import importlib
import os
import pathlib
import sys
from collections.abc import Sequence

from ae_jax.cli import start

_USES = (
  "encode",
  "decode",
  "reconstruct",
  "sample",
  "search",
  "export",
  "compress",
  "decompress",
)
COMMANDS = ("sweep", "report", "evaluate", *_USES)


def main(argv: Sequence[str] | None = None) -> None:
  """Runs a command; exits with 2 and one line at a mistake of the user."""
  program, *arguments = sys.argv if argv is None else argv
  start.without_current_folder()
  _keep_programs()
  if not arguments or arguments[0] in ("-h", "--help", "help"):
    print(__doc__)
    return
  command = arguments[0]
  if command not in COMMANDS:
    print(
      f"error: unknown command {command!r}; available: {', '.join(COMMANDS)}",
      file=sys.stderr,
    )
    sys.exit(2)
  if command in _USES:
    from ae_jax.cli import use  # here: each command loads what it needs

    use.main([program, *arguments])
    return
  module = importlib.import_module(f"ae_jax.cli.{command}")
  start.run(module.main, [program, *arguments[1:]])


def _keep_programs() -> None:
  """Keeps compiled programs for the next start, unless JAX is told where."""
  cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
  folder = pathlib.Path(os.path.expanduser(cache), "ae_jax", "jax")
  os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(folder))
  os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
