"""Trained parameters on disk: one Orbax checkpoint for each chunk.

The only file that imports Orbax. A checkpoint is one stacked tree (its cost is
by the leaf), with a JSON that says what it holds and a checksum: Orbax itself
restores a flipped bit without a word.
"""

import hashlib
import shutil
from pathlib import Path
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp

from ae_jax.types import Params

Meta = dict[str, Any]

FOLDER = "checkpoints"


def save(directory: Path, step: int, params: Params, meta: Meta) -> None:
  """Writes parameters, in the place of whatever was there.

  Args:
    directory: of this checkpoint alone; absolute.
    step: number of epochs that the parameters have seen.
    params: a tree of arrays.
    meta: JSON-able; `restore` gives it back.

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


def restore(directory: Path, like: Params) -> tuple[Params, Meta]:
  """Reads back what `save` wrote.

  Args:
    directory: of this checkpoint.
    like: a tree of arrays or `jax.ShapeDtypeStruct`, as the parameters are.

  Returns:
    The parameters as NumPy arrays, and the meta.

  Raises:
    ValueError: the stored parameters are not as `like` says, or damaged.
  """
  with _manager(directory) as manager:
    restored = manager.restore(
      manager.latest_step(),
      args=ocp.args.Composite(
        params=ocp.args.StandardRestore(
          jax.tree.map(ocp.utils.to_shape_dtype_struct, like)
        ),
        meta=ocp.args.JsonRestore(),
      ),
    )
  meta = dict(restored["meta"])
  params = jax.tree.map(np.asarray, restored["params"])
  if meta.pop("sha256") != checksum(params):
    raise ValueError(f"the checkpoint in {directory} is damaged")
  return params, meta


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
