"""A run's folder: its configuration, and a lock for one runner at a time.

It belongs to one configuration; its grid may grow. Files are replaced whole, so
a killed run leaves each as it was before or after, never between.
"""

import fcntl
import hashlib
import json
import os
import platform
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from ae_jax.atomic import (
  DAMAGED,
  is_partial,
  open_lock,
  remove_partials,
  replacing,
  sync_folder,
  write_text,
)
from ae_jax.data import Standardization
from ae_jax.run_folder.curves import CURVES, UNITS, absent_or_damaged
from ae_jax.types import UsageError

CONFIG = "config.json"
STANDARDIZATION = "standardization.npz"

_LOCK = ".lock"
# As the modules name them that write there.
_FOLDERS = (CURVES, UNITS, "checkpoints", "unfinished", "tensorboard")


def open_workdir(workdir: Path, run: Mapping[str, Any]) -> TextIO:
  """Makes the workdir, or checks that it belongs to this configuration.

  Args:
    workdir: may exist.
    run: what `config.json` is to hold. `identity` in it is what must be the
      same for all runs in this workdir; the rest describes the last one.

  Returns:
    A lock on the workdir, held until it is closed or the process ends.

  Raises:
    UsageError: the workdir holds another configuration, files of no run, a
      link in the place of a folder or a run that goes on, or cannot be written.
  """
  path = workdir / CONFIG
  text = json.dumps(run, indent=2) + "\n"
  try:
    _check_own(workdir)
    check_links(workdir)
    new = [path for path in (workdir, *workdir.parents) if not path.exists()]
    workdir.mkdir(parents=True, exist_ok=True)
    for folder in new:
      sync_folder(folder.parent)
    lock = _lock(workdir)
    try:
      if path.exists():
        _check_identity(workdir, json.loads(text)["identity"])
      _sign(lock)
      _remove_partials(workdir)
      write_text(path, text)
      (workdir / CURVES).mkdir(exist_ok=True)
    except BaseException:
      lock.close()
      raise
  except OSError as error:
    raise UsageError(
      f"cannot write to workdir {workdir}: {error.strerror}"
    ) from error
  return lock


def read_config(workdir: Path) -> dict[str, Any]:
  """What `config.json` holds: identity, config, command, versions, devices.

  Raises:
    UsageError: there is no run in the workdir.
  """
  path = workdir / CONFIG
  try:
    config = json.loads(path.read_text(encoding="utf-8"))
    low, high = config["data_range"]
    if not (
      isinstance(config["identity"], dict)
      and isinstance(config["config"]["data"], dict)
      and isinstance(config["data_bytes"], bool)
      and low <= high
    ):
      raise ValueError("a field has another type")
  except OSError as error:
    raise UsageError(
      f"{workdir} holds no run: {CONFIG}: {error.strerror}"
    ) from error
  except (ValueError, KeyError, TypeError) as error:
    raise UsageError(f"{path} is not a {CONFIG} of this program") from error
  return config


def digest(workdir: Path) -> str:
  """What names the run: hex digits over the identity in its `config.json`.

  Raises:
    UsageError: there is no run in the workdir.
  """
  identity = json.dumps(read_config(workdir)["identity"], sort_keys=True)
  return hashlib.sha256(identity.encode()).hexdigest()


def write_standardization(
  workdir: Path, standardization: Standardization
) -> None:
  """Keeps what the data was standardized with, for models that are loaded."""
  path = workdir / STANDARDIZATION
  with replacing(path) as file:
    np.savez(file, **standardization._asdict())


def read_standardization(workdir: Path) -> Standardization | None:
  """What the data was standardized with; None where it was not.

  Raises:
    UsageError: there is no run, or the file is absent or damaged.
  """
  if not read_config(workdir)["config"]["data"]["standardize"]:
    return None
  path = workdir / STANDARDIZATION
  try:
    with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
      return Standardization(**arrays)
  except (OSError, KeyError, *DAMAGED) as error:
    raise absent_or_damaged(path) from error


def check_links(workdir: Path) -> None:
  """Raises UsageError where a folder of a run is elsewhere, by a link."""
  for folder in (workdir / name for name in _FOLDERS):
    for path in (folder, *folder.glob("*")):
      if path.is_symlink():
        raise UsageError(
          f"{path} is a symbolic link, and a run writes to it: copy what it"
          " links to there"
        )


def _remove_partials(workdir: Path) -> None:
  for folder in (workdir, *(workdir / name for name in _FOLDERS)):
    remove_partials(folder)


def _check_own(workdir: Path) -> None:
  """Raises UsageError where a folder has files, but not those of a run."""
  try:
    names = {path.name for path in workdir.iterdir()}
  except FileNotFoundError:
    return
  # What a run leaves that was killed before it wrote its configuration.
  foreign = {n for n in names if n != _LOCK and not is_partial(n)}
  if foreign and CONFIG not in names:
    raise UsageError(
      f"workdir {workdir} holds {min(foreign)!r} without {CONFIG}, so it is no"
      " run's; name a new folder or an empty one"
    )


def _lock(workdir: Path) -> TextIO:
  path = workdir / _LOCK
  if path.is_symlink():
    raise UsageError(f"{path} is a symbolic link: remove it")
  lock = open_lock(path)
  try:
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
  except BlockingIOError:
    lock.seek(0)
    holder = lock.read().strip()
    lock.close()
    raise UsageError(f"workdir {workdir} is in use by {holder}") from None
  return lock


def _sign(lock: TextIO) -> None:
  """Says who holds a lock."""
  lock.truncate(0)
  now = time.strftime("%Y-%m-%d %H:%M:%S")
  lock.write(f"process {os.getpid()} on {platform.node()} since {now}\n")
  lock.flush()


def _check_identity(workdir: Path, identity: Mapping[str, Any]) -> None:
  stored = read_config(workdir)["identity"]
  differing = [
    key for key in identity | stored if stored.get(key) != identity.get(key)
  ]
  if differing:
    key = differing[0]
    raise UsageError(
      f"workdir {workdir} belongs to another configuration: {key} is"
      f" {stored.get(key)!r} there and {identity.get(key)!r} here; name another"
      " workdir"
    )
