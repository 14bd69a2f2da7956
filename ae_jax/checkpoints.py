"""Trained parameters on disk: one Orbax checkpoint for each chunk.

The only file that imports Orbax. A checkpoint is one stacked tree (its cost is
by the leaf), with a JSON that says what it holds and a checksum: Orbax itself
restores a flipped bit without a word.
"""

import hashlib
import shutil
from collections.abc import Collection
from pathlib import Path
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp

from ae_jax.grid import spec
from ae_jax.networks import Spec, autoencoder, unpad
from ae_jax.types import Params, UsageError

Meta = dict[str, Any]

FOLDER = "checkpoints"


def save(directory: Path, step: int, params: Params, meta: Meta) -> None:
  """Writes parameters, in the place of whatever was there.

  Args:
    directory: of this checkpoint alone; absolute.
    step: number of epochs that the parameters have seen.
    params: a tree of arrays.
    meta: `features`, the padded `latent_size`, and `trials`, the id and the
      settings of each.

  Raises:
    RuntimeError: Orbax declined to save.
  """
  shutil.rmtree(directory, ignore_errors=True)
  with _manager(directory) as manager:
    saved = manager.save(
      step,
      args=ocp.args.Composite(
        params=ocp.args.StandardSave(params),
        meta=ocp.args.JsonSave(meta | {"sha256": checksum(params)}),
      ),
    )
  if not saved:
    raise RuntimeError(f"Orbax did not save step {step} in {directory}")


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
    UsageError: there is no such trial, or its checksum says that its
      checkpoint is damaged.
  """
  loaded: dict[str, tuple[Spec, Params]] = {}
  for directory in sorted((workdir / FOLDER).absolute().glob("*/")):
    if loaded.keys() >= {*trial_ids}:
      break
    with _manager(directory) as manager:
      if manager.latest_step() is None:  # killed while it was saved
        continue
      meta = _read(manager, meta=ocp.args.JsonRestore())["meta"]
      settings = {trial["id"]: trial["settings"] for trial in meta["trials"]}
      wanted = {*trial_ids} & settings.keys()
      if not wanted:
        continue
      first, features = [*settings.values()][0], tuple(meta["features"])
      padded = autoencoder(spec(first, features, meta["latent_size"]))
      like = jax.eval_shape(
        jax.vmap(padded.init),
        jax.random.split(jax.random.key(0), len(settings)),
      )
      params = _read(manager, params=ocp.args.StandardRestore(like))["params"]
    if meta["sha256"] != checksum(params):
      raise UsageError(f"the checkpoint in {directory} is damaged")
    for i, (trial_id, own) in enumerate(settings.items()):
      if trial_id in wanted:
        size = own["latent_size"]
        one = jax.tree.map(lambda p, i=i: np.asarray(p[i]), params)
        loaded[trial_id] = (spec(own, features, size), unpad(one, size))
  missing = {*trial_ids} - loaded.keys()
  if missing:
    raise UsageError(f"workdir {workdir} has no trained trial {min(missing)!r}")
  return loaded


def checksum(params: Params) -> str:
  """SHA-256 over names, shapes and bytes of all leaves."""
  digest = hashlib.sha256()
  for path, leaf in jax.tree_util.tree_leaves_with_path(params):
    leaf = np.asarray(leaf)
    name = f"{jax.tree_util.keystr(path)} {leaf.shape} {leaf.dtype}"
    digest.update(name.encode())
    digest.update(leaf.tobytes())
  return digest.hexdigest()


def _manager(directory: Path) -> ocp.CheckpointManager:
  options = ocp.CheckpointManagerOptions(enable_async_checkpointing=False)
  return ocp.CheckpointManager(directory, options=options)


def _read(manager: ocp.CheckpointManager, **items: Any) -> Any:
  step = manager.latest_step()
  return manager.restore(step, args=ocp.args.Composite(**items))
