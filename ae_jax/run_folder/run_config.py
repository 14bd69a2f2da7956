"""What a run is of: `config.json`, and what its data was standardized with."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ae_jax.atomic import (
  DAMAGED,
  open_regular,
  read_text,
  replacing,
  write_text,
)
from ae_jax.data import Dataset, Standardization, value_range
from ae_jax.data import digest as data_digest
from ae_jax.environment import environment
from ae_jax.run_folder.curves import absent_or_damaged
from ae_jax.types import UsageError

CONFIG = "config.json"
STANDARDIZATION = "standardization.npz"


def describe(
  dataset: Dataset, command: Mapping[str, Any] | None = None
) -> dict[str, Any]:
  """What `config.json` is to hold.

  `identity` must be the same for all sweeps in one folder: the data. The rest
  describes the last one.

  Args:
    dataset: that is trained on.
    command: `command` and `config` of a command line; None from Python.
  """
  return {
    "identity": {
      "data": data_digest(dataset),
      "binarize": dataset.binarize,
      **({"dequantize": True} if dataset.dequantize else {}),
    },
    "config": {},
    "command": None,
    **(command or {}),
    "data": {
      "name": dataset.name,
      "source": dataset.source,
      "range": value_range(dataset),
      "bytes": dataset.bytes,
      "standardized": dataset.standardization is not None,
    },
    **environment(),
  }


def write(folder: Path, description: Mapping[str, Any]) -> None:
  """Writes `config.json`.

  Raises:
    UsageError: the folder holds a run on other data.
  """
  text = json.dumps(description, indent=2) + "\n"
  if (folder / CONFIG).exists():
    _check_identity(folder, json.loads(text)["identity"])
  write_text(folder / CONFIG, text)


def read(folder: Path) -> dict[str, Any]:
  """What `config.json` holds, see `describe`.

  Raises:
    UsageError: there is no run in the folder.
  """
  path = folder / CONFIG
  try:
    config = json.loads(read_text(path))
    data = config["data"]
    low, high = data["range"]
    if not (
      isinstance(config["identity"], dict)
      and isinstance(config["identity"].get("dequantize", False), bool)
      and isinstance(config["config"], dict)
      and isinstance(data["source"], dict | None)
      and isinstance(data["bytes"], bool)
      and isinstance(data["standardized"], bool)
      and low <= high
    ):
      raise ValueError("a field has another type")
  except OSError as error:
    raise UsageError(
      f"{folder} holds no run: {CONFIG}: {error.strerror}"
    ) from error
  except (KeyError, *DAMAGED) as error:
    raise UsageError(f"{path} is not a {CONFIG} of this program") from error
  return config


def digest(folder: Path) -> str:
  """What names the run: hex digits over the identity in its `config.json`.

  Raises:
    UsageError: there is no run in the folder.
  """
  identity = json.dumps(read(folder)["identity"], sort_keys=True)
  return hashlib.sha256(identity.encode()).hexdigest()


def write_standardization(
  folder: Path, standardization: Standardization
) -> None:
  """Keeps what the data was standardized with, for models that are loaded."""
  with replacing(folder / STANDARDIZATION) as file:
    np.savez(file, **standardization._asdict())


def read_standardization(folder: Path) -> Standardization | None:
  """What the data was standardized with; None where it was not.

  Raises:
    UsageError: there is no run, or the file is absent or damaged.
  """
  if not read(folder)["data"]["standardized"]:
    return None
  path = folder / STANDARDIZATION
  try:
    with (
      open_regular(path) as file,
      np.load(file, allow_pickle=False) as arrays,
    ):
      return Standardization(**arrays)
  except (OSError, KeyError, *DAMAGED) as error:
    raise absent_or_damaged(path) from error


def _check_identity(folder: Path, identity: Mapping[str, Any]) -> None:
  stored = read(folder)["identity"]
  differing = [
    key for key in identity | stored if stored.get(key) != identity.get(key)
  ]
  if differing:
    key = differing[0]
    raise UsageError(
      f"folder {folder} holds a run on other data: {key} is"
      f" {stored.get(key)!r} there and {identity.get(key)!r} here; name another"
      " folder"
    )
