"""Layouts of programs that were measured before, kept beside compiled ones."""

import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from ae_jax.atomic import replacing
from ae_jax.program import Layout


def read() -> dict[str, Sequence[int]]:
  """The layouts of before; none where JAX has no compilation cache."""
  file = _file()
  if file is None or not file.exists():
    return {}
  try:
    found = json.loads(file.read_text())
    return {key: Layout(*map(int, value)) for key, value in found.items()}
  except (OSError, ValueError, TypeError, AttributeError) as error:
    print(f"cannot read {file} ({error}): measuring anew", file=sys.stderr)
    return {}


def write(layouts: Mapping[str, Sequence[int]]) -> None:
  """Keeps layouts, if JAX has a compilation cache."""
  file = _file()
  if file is None:
    return
  try:
    file.parent.mkdir(parents=True, exist_ok=True)
    with replacing(file) as new:
      new.write(json.dumps(read() | dict(layouts), indent=1).encode())
  except OSError as error:
    print(f"cannot keep the layouts in {file}: {error}", file=sys.stderr)


def _file() -> Path | None:
  folder = os.environ.get("JAX_COMPILATION_CACHE_DIR", "")
  is_local = folder and "://" not in folder
  return Path(folder) / "layouts.json" if is_local else None
