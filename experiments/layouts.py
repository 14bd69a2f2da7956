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
from ae_jax.program import Layout

_NAME = "layouts.json"


def read(workdir: Path) -> dict[str, Layout]:
  """The layouts of this run; of others what it has not."""
  layouts: dict[str, Layout] = {}
  for file in reversed(_files(workdir)):
    layouts |= _read(file)
  return layouts


def write(
  workdir: Path, layouts: Mapping[str, Layout], for_all: bool = True
) -> None:
  """Keeps layouts, for all runs or for this one alone."""
  for file in _files(workdir) if for_all else [workdir / _NAME]:
    try:
      file.parent.mkdir(parents=True, exist_ok=True)
      with open_lock(file.with_name(f".{_NAME}.lock")) as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # closing the file gives it back
        with replacing(file) as new:
          new.write(json.dumps(_read(file) | dict(layouts), indent=1).encode())
    except OSError as error:
      print(f"cannot keep the layouts in {file}: {error}", file=sys.stderr)


def _read(file: Path) -> dict[str, Layout]:
  if not file.exists():
    return {}
  try:
    found = json.loads(file.read_text())
    layouts = {key: Layout(*map(int, value)) for key, value in found.items()}
    return {key: layout for key, layout in layouts.items() if min(layout) > 0}
  except (OSError, ValueError, TypeError, AttributeError) as error:
    print(f"cannot read {file} ({error}): measuring anew", file=sys.stderr)
    return {}


def _files(workdir: Path) -> list[Path]:
  """The run's own, and that beside JAX's compilation cache, if it has one."""
  cache = os.environ.get("JAX_COMPILATION_CACHE_DIR", "")
  is_local = cache and "://" not in cache
  return [workdir / _NAME, *([Path(cache) / _NAME] if is_local else [])]
