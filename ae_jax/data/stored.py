"""A dataset as one file, for data that come from arrays."""

from pathlib import Path
from typing import Any

import numpy as np

from ae_jax.atomic import DAMAGED, open_regular, replacing
from ae_jax.data.dataset import Dataset, Standardization, digest
from ae_jax.types import UsageError

DATA = "data.npz"

_ALWAYS = ("train", "test")
_OPTIONAL = (
  "validation",
  "train_labels",
  "validation_labels",
  "test_labels",
  "train_factors",
  "validation_factors",
  "test_factors",
  "validation_anomalies",
  "test_anomalies",
)

_FLAGS = ("bytes", "binarize", "dequantize", "missing")
_NAMES = ("factor_names", "unordered_factors")


def save(dataset: Dataset, path: Path) -> None:
  """Writes a dataset that is held in memory, unless it is there already.

  Raises:
    UsageError: it is streamed, or holds labels that are no plain values.
    OSError: it cannot be written.
  """
  if dataset.stream is not None:
    raise UsageError("a stream of no file cannot be kept: give its path")
  arrays: dict[str, Any] = {
    name: value
    for name in (*_ALWAYS, *_OPTIONAL)
    if (value := getattr(dataset, name)) is not None
  }
  for name, value in arrays.items():
    if value.dtype.hasobject:
      raise UsageError(f"{name} holds Python objects: give numbers or strings")
  if dataset.standardization is not None:
    arrays |= dataset.standardization._asdict()
  arrays["name"] = dataset.name
  arrays |= {name: list(getattr(dataset, name)) for name in _NAMES}
  for flag in _FLAGS:
    arrays[flag] = getattr(dataset, flag)
  if _holds(path, dataset):
    return
  with replacing(path) as file:
    np.savez(file, **arrays)


def load(path: Path) -> Dataset:
  """Reads what `save` wrote.

  Raises:
    UsageError: it is absent or damaged.
  """
  try:
    with (
      open_regular(path) as file,
      np.load(file, allow_pickle=False) as arrays,
    ):
      statistics = None
      if "mean" in arrays:
        statistics = Standardization(arrays["mean"], arrays["std"])
      parts: dict[str, Any] = {name: arrays[name] for name in _ALWAYS}
      parts |= {name: arrays.get(name) for name in _OPTIONAL}
      parts |= {name: tuple(arrays[name].tolist()) for name in _NAMES}
      parts |= {flag: bool(arrays[flag]) for flag in _FLAGS}
      return Dataset(
        name=str(arrays["name"]),
        **parts,
        standardization=statistics,
      )
  except (OSError, KeyError, *DAMAGED) as error:
    raise UsageError(f"{path} is absent or damaged: {error}") from error


def _holds(path: Path, dataset: Dataset) -> bool:
  """Whether a file can be read, and is of the same examples and factors."""
  try:
    kept = load(path)
    return digest(kept) == digest(dataset) and all(
      getattr(kept, name) == getattr(dataset, name) for name in _NAMES
    )
  except UsageError:
    return False
