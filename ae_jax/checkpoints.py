"""Trained trials on disk: one Orbax checkpoint for each chunk.

The only file that imports Orbax. A checkpoint is one stacked tree (its cost is
by the leaf), with a JSON that says what it holds and a digest of the files:
Orbax itself restores a flipped bit without a word.
"""

import hashlib
import shutil
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp

from ae_jax.atomic import replacing
from ae_jax.chunk import Chunk
from ae_jax.grid import Trial, spec
from ae_jax.networks import Spec, autoencoder, unpad
from ae_jax.types import Params, UsageError

Meta = dict[str, Any]

FOLDER = "checkpoints"

_DIGEST = "sha256"  # written last: without it a checkpoint is not there


def save(workdir: Path, chunk: Chunk) -> None:
  """Writes a chunk.

  Args:
    workdir: of the run; absolute.
    chunk: what has been trained.

  Raises:
    RuntimeError: Orbax declined to save.
  """
  directory = _directory(workdir, chunk.trials)
  meta = {
    "features": chunk.spec.features,
    "latent_size": chunk.spec.latent_size,
    "trials": [{"id": t.id, "settings": t.settings} for t in chunk.trials],
    "history": {name: term.tolist() for name, term in chunk.history.items()},
    "diverged_at": chunk.diverged_at.tolist(),
    "num_steps": chunk.num_steps,
    "seconds": chunk.seconds,
  }
  step = chunk.trials[0].settings["num_epochs"]
  shutil.rmtree(directory, ignore_errors=True)
  with _manager(directory) as manager:
    saved = manager.save(
      step,
      args=ocp.args.Composite(
        params=ocp.args.StandardSave(chunk.params),
        meta=ocp.args.JsonSave(meta),
      ),
    )
  if not saved:
    raise RuntimeError(f"Orbax did not save step {step} in {directory}")
  with replacing(directory / _DIGEST) as file:
    file.write(_digest(directory).encode())


def find(workdir: Path, trials: Sequence[Trial], padded: Spec) -> Chunk | None:
  """The chunk of these very trials, if it was saved.

  Args:
    workdir: of the run; absolute.
    trials: all of the chunk.
    padded: their network, as `Chunk.spec`.

  Raises:
    UsageError: it is damaged.
  """
  directory = _directory(workdir, trials)
  meta = _read_meta(directory)
  ids = [trial.id for trial in trials]
  if meta is None or [trial["id"] for trial in meta["trials"]] != ids:
    return None
  return Chunk(
    trials=[*trials],
    spec=padded,
    params=_read_params(directory, meta),
    history={
      name: np.array(term, np.float32) for name, term in meta["history"].items()
    },
    diverged_at=np.array(meta["diverged_at"], np.int32),
    num_steps=meta["num_steps"],
    seconds=meta["seconds"],
  )


def load(
  workdir: Path, trial_ids: Collection[str]
) -> dict[str, tuple[Spec, Params]]:
  """Loads trained trials of a run.

  Args:
    workdir: of the run.
    trial_ids: their ids in the table.

  Returns:
    id -> the network of the trial's own latent size, and its parameters.

  Raises:
    UsageError: there is no such trial, or its checkpoint is damaged.
  """
  loaded: dict[str, tuple[Spec, Params]] = {}
  for directory in sorted((workdir / FOLDER).absolute().glob("*/")):
    if loaded.keys() >= {*trial_ids}:
      break
    meta = _read_meta(directory)
    if meta is None:
      continue
    settings = {trial["id"]: trial["settings"] for trial in meta["trials"]}
    wanted = {*trial_ids} & settings.keys()
    if not wanted:
      continue
    params = _read_params(directory, meta)
    for i, (trial_id, own) in enumerate(settings.items()):
      if trial_id in wanted:
        size = own["latent_size"]
        one = jax.tree.map(lambda p, i=i: np.asarray(p[i]), params)
        own_spec = spec(own, tuple(meta["features"]), size)
        loaded[trial_id] = (own_spec, unpad(one, size))
  missing = {*trial_ids} - loaded.keys()
  if missing:
    raise UsageError(f"workdir {workdir} has no trained trial {min(missing)!r}")
  return loaded


def _directory(workdir: Path, trials: Sequence[Trial]) -> Path:
  ids = " ".join(trial.id for trial in trials)
  return workdir / FOLDER / hashlib.sha256(ids.encode()).hexdigest()[:10]


def _manager(directory: Path) -> ocp.CheckpointManager:
  options = ocp.CheckpointManagerOptions(enable_async_checkpointing=False)
  return ocp.CheckpointManager(directory, options=options)


def _read_meta(directory: Path) -> Meta | None:
  """What a checkpoint says that it holds; None where none was finished.

  Raises:
    UsageError: it is damaged. Orbax would tell it in hundreds of lines.
  """
  try:
    said = (directory / _DIGEST).read_text()
  except FileNotFoundError:
    return None
  if said != _digest(directory):
    raise UsageError(f"the checkpoint in {directory} is damaged")
  with _manager(directory) as manager:
    return _read(manager, meta=ocp.args.JsonRestore())["meta"]


def _read_params(directory: Path, meta: Meta) -> Params:
  """The parameters of a checkpoint, `[trials, ...]`."""
  first, features = meta["trials"][0]["settings"], tuple(meta["features"])
  padded = autoencoder(spec(first, features, meta["latent_size"]))
  like = jax.eval_shape(
    jax.vmap(padded.init),
    jax.random.split(jax.random.key(0), len(meta["trials"])),
  )
  with _manager(directory) as manager:
    params = _read(manager, params=ocp.args.StandardRestore(like))["params"]
  return jax.tree.map(np.asarray, params)


def _read(manager: ocp.CheckpointManager, **items: Any) -> Any:
  step = manager.latest_step()
  return manager.restore(step, args=ocp.args.Composite(**items))


def _digest(directory: Path) -> str:
  """SHA-256 over names and contents of all files of a checkpoint."""
  digest = hashlib.sha256()
  for path in sorted(directory.glob("*/*/**/*")):
    if path.is_file():
      digest.update(f"{path.relative_to(directory)}".encode())
      with path.open("rb") as file:
        digest.update(hashlib.file_digest(file, "sha256").digest())
  return digest.hexdigest()
