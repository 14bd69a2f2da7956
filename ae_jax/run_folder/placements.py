"""The placements that a run's programs were chosen with, `placements.json`.

A run that goes on takes them again: it has the same programs, and the same
bits.
"""

import json
from collections import UserDict
from pathlib import Path

import jax

from ae_jax.atomic import DAMAGED, read_text, write_text
from ae_jax.engine.placement import Placement

PLACEMENTS = "placements.json"

_MAX_TRIALS = 1 << 16  # of a device; more is no number of ours


class Placements(UserDict[str, Placement]):
  """What a placement depends on -> the placement; written at each change."""

  def __init__(self, folder: Path):
    self._path = folder / PLACEMENTS
    super().__init__()
    self.data = _read(self._path)

  def __setitem__(self, key: str, placement: Placement) -> None:
    if self.data.get(key) != placement:
      self.data[key] = placement
      write_text(self._path, json.dumps(self.data, indent=1))


def _read(path: Path) -> dict[str, Placement]:
  """What can be read; the others are chosen anew."""
  try:
    found = json.loads(read_text(path))
    pairs = {key: Placement(*map(int, value)) for key, value in found.items()}
  except (OSError, AttributeError, *DAMAGED):
    return {}
  return {
    key: value
    for key, value in pairs.items()
    if 0 < value.devices <= jax.local_device_count()
    and 0 < value.trials_per_device <= _MAX_TRIALS
  }
