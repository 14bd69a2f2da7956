"""`Dataset`: what models are trained on; bytes stand for [0, 1]."""

import hashlib
from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol, TypeVar

import jax
import numpy as np

from ae_jax.types import UsageError

ArrayT = TypeVar("ArrayT", np.ndarray, jax.Array)


class Standardization(NamedTuple):
  """The statistics that standardized data was made with.

  Attributes:
    mean: `[*features]`, of the train set, in [0, 1] for bytes.
    std: `[*features]`, above 0.
  """

  mean: np.ndarray
  std: np.ndarray

  def apply(self, x: np.ndarray) -> np.ndarray:
    """Gives `(x - mean) / std` as float32, for `[n, *features]`."""
    return ((to_float(x) - self.mean[None]) / self.std[None]).astype(np.float32)

  def undo(self, x: np.ndarray) -> np.ndarray:
    """Gives `x * std + mean` as float32, for `[n, *features]`."""
    return (x * self.std[None] + self.mean[None]).astype(np.float32)


class Rows(Protocol):
  """Rows that are read when they are asked for, such as `on_disk.OnDisk`.

  Attributes:
    shape: `(n, *features)`.
    dtype: uint8 or float32.
  """

  shape: tuple[int, ...]
  dtype: np.dtype

  def __len__(self) -> int: ...

  def __getitem__(self, indices: np.ndarray) -> np.ndarray:
    """Reads rows; from any thread."""
    ...


class Dataset(NamedTuple):
  """A train, a validation and a test set.

  Parameters are learned from the first, what is chosen (a trial, an epoch) is
  chosen by the second, and the third says how good the choice is.

  Attributes:
    name: what to call it in tables.
    train: `[n, *features]`, uint8 (bytes, which `to_float` maps to [0, 1]) or
      float32 (values as they are).
    test: `[m, *features]`, of the same type.
    train_labels: `[n]`, or None where there are none.
    test_labels: `[m]`, or None where there are none.
    validation: `[k, *features]`, of the same type; None where there is none.
    validation_labels: `[k]`, or None where there are none.
    standardization: what all parts were standardized with, or None.
    bytes: whether it was made of uint8 that stand for x / 255.
    missing: whether entries may be missing, which are NaN.
    train_factors: `[n, factors]`, integers from 0: which value of each factor
      an example was made from; None where that is not known.
    test_factors: `[m, factors]`, or None.
    validation_factors: `[k, factors]`, or None.
    factor_names: of each.
    unordered_factors: the names of those whose values have no order.
    validation_anomalies: `[k]`, whether a validation example is of a class that
      is held out of `train`; None where there is no such class.
    test_anomalies: `[m]`, or None.
    binarize: whether training draws `x ~ Bernoulli(x)` anew at each step;
      `validation` and `test` are such draws.
    dequantize: whether it adds noise to bytes anew at each step, and bounds on
      a density are those on their probability, see `minibatch.dequantized`.
    stream: all rows to train on, of which `train` is a sample; None where
      `train` is all of them.
    source: the arguments of `load` that made it; None of arrays.
  """

  name: str
  train: np.ndarray
  test: np.ndarray
  train_labels: np.ndarray | None
  test_labels: np.ndarray | None
  validation: np.ndarray | None = None
  validation_labels: np.ndarray | None = None
  standardization: Standardization | None = None
  bytes: bool = False
  missing: bool = False
  train_factors: np.ndarray | None = None
  test_factors: np.ndarray | None = None
  validation_factors: np.ndarray | None = None
  factor_names: tuple[str, ...] = ()
  unordered_factors: tuple[str, ...] = ()
  validation_anomalies: np.ndarray | None = None
  test_anomalies: np.ndarray | None = None
  binarize: bool = False
  dequantize: bool = False
  stream: Rows | None = None
  source: dict[str, Any] | None = None

  @property
  def num_train(self) -> int:
    """How many examples there are to train on."""
    return len(self.train if self.stream is None else self.stream)

  @property
  def draw(self) -> str:
    """How a step of training draws its examples, see `training.trainer`."""
    options = ("binarize", "dequantize")
    return next((name for name in options if getattr(self, name)), "")

  @property
  def held_out(self) -> dict[str, np.ndarray]:
    """The parts that nothing is trained on, "validation" first."""
    parts = {"validation": self.validation, "test": self.test}
    return {name: part for name, part in parts.items() if part is not None}

  def without_anomalies(self) -> "Dataset":
    """The same with normal examples alone in the held-out parts."""
    changed: dict[str, Any] = {}
    for part in self.held_out:
      is_anomaly = getattr(self, f"{part}_anomalies")
      if is_anomaly is None:
        continue
      for name in (part, f"{part}_labels", f"{part}_factors"):
        value = getattr(self, name)
        changed[name] = None if value is None else value[~is_anomaly]
      changed[f"{part}_anomalies"] = None
    return self._replace(**changed)

  @property
  def sizes(self) -> str:
    """How many examples each part has, in words."""
    sizes = {"train": self.num_train}
    sizes |= {name: len(part) for name, part in self.held_out.items()}
    *first, last = (f"{size:,} {name}" for name, size in sizes.items())
    return f"{', '.join(first)} and {last}"


def are_images(features: tuple[int, ...]) -> bool:
  """Whether examples are `[h, w]`, `[h, w, 1]` or `[h, w, 3]`, h and w > 1.

  What is one pixel wide or high is a signal with an axis of its channel.
  """
  has_channels = len(features) == 3 and features[2] in (1, 3)
  return (len(features) == 2 or has_channels) and min(features[:2]) > 1


def digest(dataset: Dataset) -> str:
  """Sixteen hex digits that name what examples, labels and statistics are.

  Of a stream only the sample and the number of rows are looked at.
  """
  sha256 = hashlib.sha256()
  for array in (*dataset, *(dataset.standardization or ())):
    if isinstance(array, np.ndarray):
      sha256.update(f"{array.shape} {array.dtype}".encode())
      sha256.update(array.tobytes())
  if dataset.stream is not None:
    sha256.update(f"of {dataset.num_train}".encode())
  return sha256.hexdigest()[:16]


def binarized(x: np.ndarray, seed: int | Sequence[int]) -> np.ndarray:
  """Draws `Bernoulli(x)`, of the type of x.

  Args:
    x: in [0, 1], or uint8.
    seed: of the draws.

  Raises:
    UsageError: x is not in [0, 1].
  """
  low, high = to_float(x.min()), to_float(x.max())
  if not 0 <= low <= high <= 1:
    raise UsageError(
      "data.binarize needs data in [0, 1]; these are in"
      f" [{low:.4g}, {high:.4g}]"
    )
  one = 255 if x.dtype == np.uint8 else 1
  drawn = np.random.default_rng(seed).random(x.shape, np.float32)
  return np.where(drawn * one < x, one, 0).astype(x.dtype)


def value_range(dataset: Dataset) -> tuple[float, float]:
  """The least and the greatest value of the train set.

  Returns:
    In the units before standardization; of bytes in [0, 1].
  """
  extremes = to_float(
    np.stack(
      [np.nanmin(dataset.train, axis=0), np.nanmax(dataset.train, axis=0)]
    )
  )
  if dataset.standardization is not None:
    extremes = dataset.standardization.undo(extremes)
  return float(extremes.min()), float(extremes.max())


def to_float(x: ArrayT) -> ArrayT:
  """Maps bytes to [0, 1], `x / 255`; leaves float32 as it is.

  Images stay bytes, a quarter of the memory, until a step calls this under
  `jit`.

  Args:
    x: uint8 or float32, of any shape.

  Returns:
    float32 of the same shape.
  """
  if x.dtype == np.uint8:
    return x.astype(np.float32) / np.float32(255)
  return x
