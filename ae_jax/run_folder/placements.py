"""Layouts of programs that were measured before, kept on disk.

They are beside the compiled programs, for all runs, and in the folder of a run,
so that it goes on as it began.
"""

import fcntl
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from ae_jax.atomic import open_lock, replacing
from ae_jax.engine.program import Placement

_NAME = "placements.json"


def read(workdir: Path) -> dict[str, Placement]:
  """The placements of this run; of others what it has not."""
  placements: dict[str, Placement] = {}
  for file in reversed(_files(workdir)):
    placements |= _read(file)
  return placements


def write(
  workdir: Path, placements: Mapping[str, Placement], for_all: bool = True
) -> None:
  """Keeps placements, for all runs or for this one alone."""
  for file in _files(workdir) if for_all else [workdir / _NAME]:
    try:
      file.parent.mkdir(parents=True, exist_ok=True)
      with open_lock(file.with_name(f".{_NAME}.lock")) as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # closing the file gives it back
        with replacing(file) as new:
          new.write(
            json.dumps(_read(file) | dict(placements), indent=1).encode()
          )
    except OSError as error:
      print(f"cannot keep the placements in {file}: {error}", file=sys.stderr)


def _read(file: Path) -> dict[str, Placement]:
  if not file.exists():
    return {}
  try:
    found = json.loads(file.read_text())
    placements = {
      key: Placement(*map(int, value)) for key, value in found.items()
    }
    return {
      key: placement
      for key, placement in placements.items()
      if min(placement) > 0
    }
  except (OSError, ValueError, TypeError, AttributeError) as error:
    print(f"cannot read {file} ({error}): measuring anew", file=sys.stderr)
    return {}


def _files(workdir: Path) -> list[Path]:
  """The run's own, and that beside JAX's compilation cache, if it has one."""
  cache = os.environ.get("JAX_COMPILATION_CACHE_DIR", "")
  is_local = cache and "://" not in cache
  return [workdir / _NAME, *([Path(cache) / _NAME] if is_local else [])]
