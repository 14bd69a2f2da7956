"""The trials that a run is training, on disk: their last two snapshots.

A snapshot is one `.npz`, for its checksums are verified when it is read: what
is damaged is told, and the one before is taken.
"""

import json
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
import optax

from ae_jax import record
from ae_jax.atomic import DAMAGED, replacing
from ae_jax.chunk import Run, Snapshot
from ae_jax.grid import Trial
from ae_jax.program import Program

FOLDER = "unfinished"

_KEPT = 2


class Unfinished:
  """Snapshots of the trials in training, one chunk of them at a time."""

  def __init__(
    self, workdir: Path, seconds: float, on_damaged: Callable[[str], None]
  ):
    """Looks after a run.

    Args:
      workdir: of the run.
      seconds: training that may be lost.
      on_damaged: is told which snapshot is passed over, in one line.
    """
    self._on_damaged = on_damaged
    self._folder = workdir / FOLDER
    self._seconds = seconds
    self._last = time.monotonic()

  def keep(self, run: Run) -> None:
    """Saves a snapshot if the last one is old, as `chunk.OnAdvance`."""
    if time.monotonic() - self._last >= self._seconds:
      self.save(run)

  def save(self, run: Run) -> None:
    """Saves a snapshot.

    Raises:
      OSError: it cannot be written; those before are there still.
    """
    snapshot = run.snapshot()
    self._folder.mkdir(exist_ok=True)
    arrays: dict[str, Any] = {"of": self._whose(run.program, run.trials)}
    arrays |= {f"state/{i}": leaf for i, leaf in enumerate(snapshot.state)}
    arrays |= {f"history/{k}": term for k, term in snapshot.history.items()}
    arrays |= {f"rest/{k}": term for k, term in snapshot.rest.items()}
    arrays["num_done"] = snapshot.num_done
    arrays["seconds"] = snapshot.seconds
    arrays["names"] = [*arrays]
    newest = max((int(path.stem) for path in self._files()), default=0)
    with replacing(self._folder / f"{newest + 1:012}.npz") as file:
      np.savez(file, **arrays)
    for old in self._files()[_KEPT:]:
      old.unlink()
    self._last = time.monotonic()

  def find(self, program: Program, trials: Sequence[Trial]) -> Snapshot | None:
    """The newest whole snapshot of these trials in this program, if any."""
    self._last = time.monotonic()
    for path in self._files():
      try:
        with (
          path.open("rb") as file,
          np.load(file, allow_pickle=False) as arrays,
        ):
          if str(arrays["of"]) == self._whose(program, trials):
            return _read(arrays)
      except (OSError, KeyError, *DAMAGED) as error:
        self._on_damaged(f"{path} is damaged ({error}): passing over it")
    return None

  def clear(self) -> None:
    """Removes all snapshots; their trials are trained."""
    if self._folder.exists():
      shutil.rmtree(self._folder)
    self._last = time.monotonic()

  def _files(self) -> list[Path]:
    """All snapshots, the newest first."""
    return sorted(self._folder.glob("[0-9]*.npz"), reverse=True)

  def _whose(self, program: Program, trials: Sequence[Trial]) -> str:
    """What a snapshot must be of, to go on from it."""
    return json.dumps(
      {
        "run": record.digest(self._folder.parent),
        "versions": [jax.__version__, optax.__version__],
        "trials": [trial.id for trial in trials],
        "layout": program.layout,
        "state": [
          f"{x.dtype}{x.shape}" for x in jax.tree.leaves(program.state)
        ],
      }
    )


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
