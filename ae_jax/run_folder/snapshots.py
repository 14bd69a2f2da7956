"""The trials that a run is training, on disk: the last two snapshots of each.

A snapshot is one `.npz`, for its checksums are verified when it is read: what
is damaged is reported, and the one before is taken.
"""

import contextlib
import hashlib
import json
import re
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
import optax

from ae_jax.atomic import DAMAGED, open_regular, replacing
from ae_jax.engine.program import Program
from ae_jax.engine.training_loop import Snapshot, TrainingLoop
from ae_jax.run_folder import run_config
from ae_jax.trial import Trial

FOLDER = "snapshots"

_KEPT = 2
_SNAPSHOT = re.compile(r"[0-9a-f]{10}-[0-9]{12}\.npz")


class Snapshots:
  """Snapshots of the trials in training; those of one program together."""

  def __init__(
    self, folder: Path, seconds: float, on_damaged: Callable[[str], None]
  ):
    """Looks after a run.

    Args:
      folder: of the run.
      seconds: training that may be lost.
      on_damaged: is told which snapshot is passed over, in one line.
    """
    self._on_damaged = on_damaged
    self._folder = folder / FOLDER
    self._seconds = seconds
    self._last = time.monotonic()
    self._name = ""

  def maybe_save(self, loop: TrainingLoop) -> None:
    """Saves a snapshot if the last one is old, as `training_loop.OnAdvance`."""
    if time.monotonic() - self._last >= self._seconds:
      self.save(loop)

  def save(self, loop: TrainingLoop) -> None:
    """Saves a snapshot.

    Raises:
      OSError: it cannot be written; those before are there still.
    """
    snapshot = loop.snapshot()
    self._folder.mkdir(exist_ok=True)
    arrays: dict[str, Any] = {"of": self._whose(loop.program, loop.trials)}
    arrays |= {f"state/{i}": leaf for i, leaf in enumerate(snapshot.state)}
    arrays |= {f"history/{k}": term for k, term in snapshot.history.items()}
    arrays |= {f"rest/{k}": term for k, term in snapshot.rest.items()}
    arrays["num_done"] = snapshot.num_done
    arrays["seconds"] = snapshot.seconds
    arrays["names"] = [*arrays]
    self._name = _name(arrays["of"])
    numbers = (int(path.stem.partition("-")[2]) for path in self._files())
    name = f"{self._name}-{max(numbers, default=0) + 1:012}.npz"
    with replacing(self._folder / name) as file:
      np.savez(file, **arrays)
    for old in self._files()[_KEPT:]:
      old.unlink()
    self._last = time.monotonic()

  def find(self, program: Program, trials: Sequence[Trial]) -> Snapshot | None:
    """The newest whole snapshot of these trials in this program, if any."""
    self._last = time.monotonic()
    whose = self._whose(program, trials)
    self._name = _name(whose)
    for path in self._files():
      try:
        with (
          open_regular(path) as file,
          np.load(file, allow_pickle=False) as arrays,
        ):
          if str(arrays["of"]) == whose:
            return _read(arrays)
      except (OSError, KeyError, *DAMAGED) as error:
        self._on_damaged(f"{path} is damaged ({error}): passing over it")
    return None

  def clear(self) -> None:
    """Removes the snapshots of these trials, which are in the table now."""
    for path in self._files():
      path.unlink()
    self._last = time.monotonic()

  def remove_all(self) -> None:
    """Removes all snapshots, and no other file: nothing is left to train."""
    for path in self._folder.glob("*.npz"):
      if _SNAPSHOT.fullmatch(path.name) and path.is_file():
        path.unlink()
    with contextlib.suppress(OSError):  # absent, or others' files are there
      self._folder.rmdir()

  def _files(self) -> list[Path]:
    """The snapshots of these trials, the newest first."""
    return sorted(self._folder.glob(f"{self._name}-*.npz"), reverse=True)

  def _whose(self, program: Program, trials: Sequence[Trial]) -> str:
    """What a snapshot must be of, to go on from it."""
    return json.dumps(
      {
        "run": run_config.digest(self._folder.parent),
        "versions": [jax.__version__, optax.__version__],
        "trials": [trial.id for trial in trials],
        "placement": program.placement,
        "state": [
          f"{x.dtype}{x.shape}" for x in jax.tree.leaves(program.state)
        ],
      }
    )


def _name(whose: str) -> str:
  return hashlib.sha256(whose.encode()).hexdigest()[:10]


def _read(arrays: Mapping[str, np.ndarray]) -> Snapshot:
  if {*arrays} != {*map(str, arrays["names"]), "names"}:
    raise ValueError("a name was changed")

  def of(kind: str) -> dict[str, np.ndarray]:
    prefix = f"{kind}/"
    names = [name for name in arrays if name.startswith(prefix)]
    return {name.removeprefix(prefix): arrays[name] for name in names}

  state = of("state")
  return Snapshot(
    int(arrays["num_done"]),
    [state[str(i)] for i in range(len(state))],
    of("history"),
    of("rest"),
    float(arrays["seconds"]),
  )
