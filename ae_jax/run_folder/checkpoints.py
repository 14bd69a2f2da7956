"""Trained trials on disk: one Orbax checkpoint for each group trained at once.

The only file that imports Orbax. A checkpoint is one stacked tree (its cost is
by the leaf), with a JSON that says what it holds, and a manifest that names its
trials and has a digest of the files: Orbax itself restores a flipped bit, or
arrays of other shapes, without a word. The digest is verified when a checkpoint
is read, and by `intact` where a file is not as the manifest saw it.
"""

import hashlib
import json
import shutil
import textwrap
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp

from ae_jax.atomic import (
  DAMAGED,
  is_partial,
  open_regular,
  read_text,
  replacing,
  sync_folder,
  sync_tree,
)
from ae_jax.engine.training_loop import TrainedGroup
from ae_jax.lookup import Modules
from ae_jax.networks import Spec, autoencoder
from ae_jax.parameters import OWN
from ae_jax.run_folder import run_config
from ae_jax.trial import sources_of, spec, stored_functions
from ae_jax.types import Params, UsageError

Meta = dict[str, Any]

FOLDER = "checkpoints"
_EPOCHS = ("best_epoch", "stopped_epoch")

_PATTERN = "*?[]\\"
_MANIFEST = "manifest.json"  # written last: no checkpoint is there without it


def check(folder: Path) -> None:
  """Checks that checkpoints can be in a folder of this name.

  Raises:
    UsageError: Orbax would read it as a pattern, or write to another one.
  """
  if found := sorted({*str(folder.absolute())} & {*_PATTERN}):
    raise UsageError(
      f"folder {folder} has {' '.join(found)} in its path, which Orbax cannot"
      " save to: name another"
    )


def save(folder: Path, trained: TrainedGroup) -> None:
  """Writes trained trials; afterwards power may fail.

  Args:
    folder: of the run; absolute.
    trained: all trials that were trained at once.

  Raises:
    OSError: it cannot be written.
  """
  directory = _directory(folder, trained.ids)
  meta = {
    "features": trained.spec.features,
    "latent_size": trained.spec.latent_size,
    "needs_objective": trained.spec.objective is not None,
    "sources": sources_of(trained.spec),
    "trials": [
      {"id": trial_id, "settings": settings}
      for trial_id, settings in zip(trained.ids, trained.settings, strict=True)
    ],
    "history": {name: term.tolist() for name, term in trained.history.items()},
    "diverged_at": trained.diverged_at.tolist(),
    **{
      name: value.tolist()
      for name in _EPOCHS
      if (value := getattr(trained, name)) is not None
    },
    "num_steps": trained.num_steps,
    "seconds": trained.seconds,
  }
  step = trained.settings[0]["num_epochs"]
  shutil.rmtree(directory, ignore_errors=True)
  try:
    with _manager(directory) as manager:
      manager.save(
        step,
        args=ocp.args.Composite(
          params=ocp.args.StandardSave(trained.params),
          meta=ocp.args.JsonSave(meta),
        ),
      )
  except (OSError, ValueError, RuntimeError) as error:
    # TensorStore has no type for a full disk.
    reason = textwrap.shorten(str(error), 200)
    raise OSError(f"cannot save {directory}: {reason}") from error
  sync_tree(directory)
  for place in (directory.parent, folder):
    sync_folder(place)
  manifest = {
    "run": run_config.digest(folder),
    "trials": trained.ids,
    "sha256": _digest(directory, trained.ids),
    "files": _stats(directory),
  }
  with replacing(directory / _MANIFEST) as file:
    file.write(json.dumps(manifest).encode())


def intact(folder: Path) -> set[str]:
  """Ids of all trials whose checkpoint is there and not damaged."""
  return {
    trial_id
    for directory in _directories(folder)
    if _is_intact(directory)
    for trial_id in _trials(directory)
  }


def load_groups(
  folder: Path, trial_ids: Collection[str], modules: Modules = ()
) -> Iterator[TrainedGroup]:
  """Loads trained trials, those of one checkpoint together.

  Args:
    folder: of the run.
    trial_ids: their ids in the table.
    modules: where functions of a user may be taken from, see `lookup.among`.

  Yields:
    The trials that a checkpoint has of them, each trial once.

  Raises:
    UsageError: there is no such trial, its checkpoint is damaged, its model
      needs another module, or see `check`.
  """
  check(folder)
  missing = {*trial_ids}
  damaged: UsageError | None = None
  for directory in _directories(folder):
    if not missing.intersection(_trials(directory)):
      continue
    try:
      trained = _read(directory, modules)
    except UsageError as error:  # the trial may have been trained again
      damaged = error
      continue
    wanted = [i for i, name in enumerate(trained.ids) if name in missing]
    missing.difference_update(trained.ids)
    yield trained.select(wanted)
  if missing:
    raise damaged or UsageError(
      f"folder {folder} has no trained trial {min(missing)!r}"
    )


def _directories(folder: Path) -> list[Path]:
  return sorted((folder / FOLDER).absolute().glob("*/"))


def _directory(folder: Path, trial_ids: Sequence[str]) -> Path:
  ids = " ".join(trial_ids)
  return folder / FOLDER / hashlib.sha256(ids.encode()).hexdigest()[:10]


def _manager(directory: Path) -> ocp.CheckpointManager:
  options = ocp.CheckpointManagerOptions(enable_async_checkpointing=False)
  return ocp.CheckpointManager(directory, options=options)


def _manifest(directory: Path) -> dict[str, Any]:
  """What the manifest says; empty where there is none."""
  try:
    manifest = json.loads(read_text(directory / _MANIFEST))
    return manifest if isinstance(manifest, dict) else {}
  except (OSError, *DAMAGED):
    return {}


def _trials(directory: Path) -> list[str]:
  """Whose checkpoint it is; nobody's without a manifest."""
  trials = _manifest(directory).get("trials")
  return [*map(str, trials)] if isinstance(trials, list) else []


def _is_intact(directory: Path) -> bool:
  """Whether files are as the manifest saw them, or have its digest."""
  manifest = _manifest(directory)
  if manifest.get("run") != run_config.digest(directory.parent.parent):
    return False
  try:
    as_seen = manifest.get("files") == _stats(directory)
  except OSError:  # a link to nowhere
    return False
  return as_seen or _has_digest(directory)


def _has_digest(directory: Path) -> bool:
  ids = _trials(directory)
  digest = _manifest(directory).get("sha256")
  try:
    return bool(ids) and digest == _digest(directory, ids)
  except (OSError, UnicodeError):
    return False


def _files(directory: Path) -> Iterator[Path]:
  for path in sorted(directory.rglob("*")):
    if path.name != _MANIFEST and not is_partial(path.name):
      yield path


def _stats(directory: Path) -> list[list[Any]]:
  """Name, size and time of the last change of each file; names of folders."""
  return [
    [f"{path.relative_to(directory)}"]
    + ([] if path.is_dir() else [stat.st_size, stat.st_mtime_ns])
    for path in _files(directory)
    for stat in (path.stat(),)
  ]


def _digest(directory: Path, trial_ids: Sequence[str]) -> str:
  """SHA-256 over run, trials, names and contents of files.

  Raises:
    OSError: one of them cannot be read, or is a pipe.
  """
  run = run_config.digest(directory.parent.parent)
  digest = hashlib.sha256(" ".join([run, *trial_ids]).encode())
  for path in _files(directory):
    digest.update(f"{path.relative_to(directory)}".encode())
    if not path.is_dir():
      with open_regular(path) as file:
        digest.update(hashlib.file_digest(file, "sha256").digest())
  return digest.hexdigest()


def _read(directory: Path, modules: Modules) -> TrainedGroup:
  """Reads a checkpoint.

  Raises:
    UsageError: it is damaged (Orbax would tell it in hundreds of lines), or its
      model needs another module.
  """
  if not _has_digest(directory):
    raise UsageError(
      f"the checkpoint in {directory} is damaged or of another run; delete it,"
      " and the sweep's command trains its trials again"
    )
  with _manager(directory) as manager:
    step = manager.latest_step()
    meta = _restore(manager, step, meta=ocp.args.JsonRestore())["meta"]
    settings = [_settings(trial) for trial in meta["trials"]]
    functions = stored_functions(
      settings[0], meta["needs_objective"], modules, meta.get("sources", {})
    )
    padded = spec(
      settings[0], functions, tuple(meta["features"]), meta["latent_size"]
    )
    like = _like(directory / str(step) / "params", padded, len(settings))
    params = _restore(manager, step, params=ocp.args.StandardRestore(like))
  return TrainedGroup(
    ids=[trial["id"] for trial in meta["trials"]],
    settings=settings,
    spec=padded,
    params=jax.tree.map(np.asarray, params["params"]),
    history={
      name: np.array(term, np.float32) for name, term in meta["history"].items()
    },
    diverged_at=np.array(meta["diverged_at"], np.int32),
    **_epochs(meta),
    num_steps=meta["num_steps"],
    seconds=meta["seconds"],
  )


def _epochs(meta: Meta) -> dict[str, np.ndarray | None]:
  """The best epochs and the last ones, where epochs were judged."""
  found = {
    name: np.array(meta[name], np.int32) if name in meta else None
    for name in _EPOCHS
  }
  if any(
    epochs is not None and epochs.shape != (len(meta["trials"]),)
    for epochs in found.values()
  ):
    raise UsageError("a checkpoint has epochs of another number of trials")
  return found


def _settings(trial: Meta) -> dict[str, Any]:
  return {
    name: tuple(value) if isinstance(value, list) else value
    for name, value in trial["settings"].items()
  }


def _like(params: Path, padded: Spec, num_trials: int) -> Params:
  """Shapes and types of the parameters of a checkpoint, `[trials, ...]`."""
  keys = jax.random.split(jax.random.key(0), num_trials)
  like = jax.eval_shape(jax.vmap(autoencoder(padded).init), keys)
  saved = ocp.StandardCheckpointHandler().metadata(params)
  for name in saved.tree.keys() & OWN:
    like[name] = jax.tree.map(
      lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), saved.tree[name]
    )
  if _shapes(saved.tree) != _shapes(like):
    raise UsageError(f"the checkpoint in {params.parent} is of other networks")
  return like


def _restore(manager: ocp.CheckpointManager, step: Any, **items: Any) -> Any:
  return manager.restore(step, args=ocp.args.Composite(**items))


def _shapes(tree: Params) -> Any:
  return jax.tree.map(lambda x: (tuple(x.shape), str(x.dtype)), tree)
