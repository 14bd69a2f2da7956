"""Trained trials on disk: one Orbax checkpoint for each chunk.

The only file that imports Orbax. A checkpoint is one stacked tree (its cost is
by the leaf), with a JSON that says what it holds, and a seal that names its
trials and has a digest of the files: Orbax itself restores a flipped bit, or
arrays of other shapes, without a word.
"""

import hashlib
import json
import shutil
import textwrap
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp

from ae_jax.atomic import is_partial, replacing, sync_folder, sync_tree
from ae_jax.engine.training_loop import TrainedGroup
from ae_jax.grid import Trial, spec
from ae_jax.networks import Spec, autoencoder, unpad
from ae_jax.run_folder import run_config
from ae_jax.types import Params, UsageError

Meta = dict[str, Any]

FOLDER = "checkpoints"

_PATTERN = "*?[]\\"
_SEAL = "seal.json"  # written last: without it a checkpoint is not there


def check(workdir: Path) -> None:
  """Checks that checkpoints can be in a folder of this name.

  Raises:
    UsageError: Orbax would read it as a pattern, or write to another one.
  """
  if found := sorted({*str(workdir.absolute())} & {*_PATTERN}):
    raise UsageError(
      f"workdir {workdir} has {' '.join(found)} in its path, which Orbax cannot"
      " save to: name another"
    )


def save(workdir: Path, chunk: TrainedGroup) -> None:
  """Writes a chunk; afterwards power may fail.

  Args:
    workdir: of the run; absolute.
    chunk: what has been trained.

  Raises:
    OSError: it cannot be written.
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
  try:
    with _manager(directory) as manager:
      manager.save(
        step,
        args=ocp.args.Composite(
          params=ocp.args.StandardSave(chunk.params),
          meta=ocp.args.JsonSave(meta),
        ),
      )
  except (OSError, ValueError, RuntimeError) as error:
    # TensorStore has no type for a full disk.
    reason = textwrap.shorten(str(error), 200)
    raise OSError(f"cannot save {directory}: {reason}") from error
  sync_tree(directory)
  for folder in (directory.parent, workdir):
    sync_folder(folder)
  ids = [trial.id for trial in chunk.trials]
  seal = _seal(directory, ids)
  with replacing(directory / _SEAL) as file:
    file.write(seal.encode())


def find(
  workdir: Path, trials: Sequence[Trial], padded: Spec
) -> TrainedGroup | None:
  """The chunk of these very trials, if it was saved.

  Args:
    workdir: of the run; absolute.
    trials: all of the chunk.
    padded: their network, as `TrainedGroup.spec`.

  Raises:
    UsageError: it is damaged.
  """
  directory = _directory(workdir, trials)
  if _trials(directory) != [trial.id for trial in trials]:
    return None
  meta = _read_meta(directory)
  if meta["latent_size"] != padded.latent_size:  # the grid is wider now
    return None
  return TrainedGroup(
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


def whole(workdir: Path) -> set[str]:
  """Ids of all trials whose checkpoint is there and not damaged."""
  return {
    trial_id
    for directory in _directories(workdir)
    if _is_whole(directory)
    for trial_id in _trials(directory)
  }


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
    UsageError: there is no such trial, its checkpoint is damaged, or see
      `check`.
  """
  check(workdir)
  loaded: dict[str, tuple[Spec, Params]] = {}
  missing = {*trial_ids}
  damaged: UsageError | None = None
  for directory in _directories(workdir):
    wanted = missing.intersection(_trials(directory))
    if not wanted:
      continue
    try:
      meta = _read_meta(directory)
      params = _read_params(directory, meta)
    except UsageError as error:  # the trial may have been trained again
      damaged = error
      continue
    for i, trial in enumerate(meta["trials"]):
      if trial["id"] in wanted:
        size = trial["settings"]["latent_size"]
        one = jax.tree.map(lambda p, i=i: np.asarray(p[i]), params)
        own = spec(trial["settings"], tuple(meta["features"]), size)
        loaded[trial["id"]] = (own, unpad(one, size))
    missing -= loaded.keys()
  if missing:
    raise damaged or UsageError(
      f"workdir {workdir} has no trained trial {min(missing)!r}"
    )
  return loaded


def _directories(workdir: Path) -> list[Path]:
  return sorted((workdir / FOLDER).absolute().glob("*/"))


def _directory(workdir: Path, trials: Sequence[Trial]) -> Path:
  ids = " ".join(trial.id for trial in trials)
  return workdir / FOLDER / hashlib.sha256(ids.encode()).hexdigest()[:10]


def _manager(directory: Path) -> ocp.CheckpointManager:
  options = ocp.CheckpointManagerOptions(enable_async_checkpointing=False)
  return ocp.CheckpointManager(directory, options=options)


def _trials(directory: Path) -> list[str]:
  """Whose checkpoint it is, as its seal says; nobody's without one."""
  try:
    return [*map(str, json.loads((directory / _SEAL).read_text())["trials"])]
  except (OSError, ValueError, KeyError, TypeError):
    return []


def _is_whole(directory: Path) -> bool:
  ids = _trials(directory)
  return bool(ids) and (directory / _SEAL).read_text() == _seal(directory, ids)


def _read_meta(directory: Path) -> Meta:
  """What a checkpoint holds.

  Raises:
    UsageError: it is damaged. Orbax would tell it in hundreds of lines.
  """
  if not _is_whole(directory):
    raise UsageError(
      f"the checkpoint in {directory} is damaged or of another run; the"
      " sweep's command trains its trials again"
    )
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
    saved = ocp.StandardCheckpointHandler().metadata(
      directory / str(manager.latest_step()) / "params"
    )
    if "objective" in saved.tree:
      like["objective"] = jax.tree.map(
        lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype),
        saved.tree["objective"],
      )
    if _shapes(saved.tree) != _shapes(like):
      raise UsageError(f"the checkpoint in {directory} is of other networks")
    params = _read(manager, params=ocp.args.StandardRestore(like))["params"]
  return jax.tree.map(np.asarray, params)


def _read(manager: ocp.CheckpointManager, **items: Any) -> Any:
  step = manager.latest_step()
  return manager.restore(step, args=ocp.args.Composite(**items))


def _shapes(tree: Params) -> Any:
  return jax.tree.map(lambda x: (tuple(x.shape), str(x.dtype)), tree)


def _seal(directory: Path, trial_ids: list[str]) -> str:
  """A JSON; its SHA-256 is over run, trials, names and contents of files."""
  run = run_config.digest(directory.parent.parent)
  digest = hashlib.sha256(" ".join([run, *trial_ids]).encode())
  for path in sorted(directory.rglob("*")):
    if path.name == _SEAL or is_partial(path.name):
      continue
    digest.update(f"{path.relative_to(directory)}".encode())
    if path.is_file():
      with path.open("rb") as file:
        digest.update(hashlib.file_digest(file, "sha256").digest())
  return json.dumps({"trials": trial_ids, "sha256": digest.hexdigest()})
