"""Data that are larger than memory: rows of a `.npy` file."""

import os
import pathlib
import weakref

import numpy as np
from numpy.typing import ArrayLike

from ae_jax.atomic import DAMAGED, check_regular
from ae_jax.data.arrays import (
  check_integers,
  check_split,
  checked_labels,
  from_arrays,
)
from ae_jax.data.dataset import Dataset, Standardization
from ae_jax.extras import require
from ae_jax.types import UsageError

_MAX_HELD_OUT = 10_000
_MAX_SAMPLE = 60_000


class OnDisk:
  """Rows of a row-major `.npy` file, read when they are asked for.

  They are read and not mapped, so that they never count as memory in use. Any
  number of threads may read.

  Attributes:
    shape: `(n, *features)`, without the rows that are left out.
    dtype: uint8 or float32.
  """

  def __init__(
    self,
    path: str | os.PathLike[str],
    left_out: ArrayLike = (),
    dtype: np.dtype | None = None,
    standardization: Standardization | None = None,
  ):
    """Opens a file.

    Args:
      path: of the file.
      left_out: rows that are not there, sorted.
      dtype: what rows are read as, before anything is applied to them.
      standardization: what is applied to them, if anything.

    Raises:
      UsageError: the file does not hold the examples one after the other.
    """
    self._path = pathlib.Path(os.path.expanduser(path)).absolute()
    try:
      check_regular(self._path)
      stored = np.load(self._path, mmap_mode="r", allow_pickle=False)
    except OSError as error:
      reason = error.strerror or error
      raise UsageError(f"cannot read {path}: {reason}") from error
    except DAMAGED as error:
      raise UsageError(f"{path} is damaged, or no .npy of numbers") from error
    is_array = isinstance(stored, np.ndarray) and stored.ndim > 0
    if not is_array or stored.dtype.kind not in "buif":
      raise UsageError(
        f"{path} cannot be streamed: give one .npy of numbers, [n, ...]"
      )
    if not stored.flags.c_contiguous:
      raise UsageError(
        f"{path} cannot be streamed: it does not hold one example after the"
        " other; save it with np.ascontiguousarray"
      )
    self._descriptor = os.open(self._path, os.O_RDONLY)
    weakref.finalize(self, os.close, self._descriptor)
    self._offset = stored.offset
    self._stored = stored.dtype
    self._standardization = standardization
    # Row i comes after as many left out as have at most i others before them.
    self._gaps = np.asarray(left_out, np.int64) - np.arange(np.size(left_out))
    self.shape = (len(stored) - len(self._gaps), *stored.shape[1:])
    self._read_as = np.dtype(dtype or stored.dtype)
    self.dtype = self._read_as if standardization is None else np.dtype("f4")

  def __len__(self) -> int:
    return self.shape[0]

  def __getitem__(self, indices: np.ndarray) -> np.ndarray:
    """Reads rows, `[k, *features]`.

    Raises:
      UsageError: the file is shorter than it says, or a row is not finite, or
        of integers that float32 does not hold.
    """
    x = np.empty((len(indices), *self.shape[1:]), self._stored)
    buffer = x.reshape(-1).view(np.uint8).data
    size = x[:1].nbytes
    before = np.searchsorted(self._gaps, indices, side="right")
    for i, row in enumerate(np.add(indices, before, dtype=np.int64).tolist()):
      place = buffer[i * size : (i + 1) * size]
      at = self._offset + row * size
      if os.preadv(self._descriptor, [place], at) != size:
        raise UsageError(f"{self._path} ends before row {row}")
    check_integers(x, str(self._path))
    with np.errstate(over="ignore"):
      x = x.astype(self._read_as, copy=False)
    if self._stored.kind == "f" and not np.isfinite(x).all():
      raise UsageError(
        f"{self._path} holds values that are NaN or infinite as float32"
      )
    if self._standardization is not None:
      return self._standardization.apply(x)
    return x


def from_file(
  path: str | os.PathLike[str],
  test: ArrayLike | None = None,
  train_labels: ArrayLike | None = None,
  test_labels: ArrayLike | None = None,
  *,
  validation: ArrayLike | None = None,
  validation_labels: ArrayLike | None = None,
  name: str,
  test_fraction: float = 0.2,
  validation_fraction: float = 0.1,
  seed: int = 0,
  standardize: bool = False,
) -> Dataset:
  """Makes a dataset whose training streams from a file.

  `train` of the dataset is a random sample of at most 60,000 rows, for what
  looks at examples without training: metrics, statistics, checks.

  Args:
    path: `.npy`, row-major.
    test: as in `from_arrays`; without it at most 10,000 rows are held out,
      and at least two are left to train on.
    train_labels: of all rows of the file.
    test_labels: of `test`.
    validation: as in `from_arrays`; without it at most 10,000 rows.
    validation_labels: of `validation`.
    name: the dataset's name.
    test_fraction: as in `from_arrays`.
    validation_fraction: as in `from_arrays`.
    seed: which rows are held out, and which are in the sample.
    standardize: as in `from_arrays`, by the statistics of the sample.

  Returns:
    The dataset, with `stream`. Rows outside the sample are checked when they
    are read.

  Raises:
    UsageError: as `from_arrays`, where the file cannot be streamed, or where
      Grain is not installed.
  """
  check_split(test_fraction, validation_fraction, seed)
  require("streaming", "grain")
  for role, x, y in (
    ("test", test, test_labels),
    ("validation", validation, validation_labels),
  ):
    if x is None and y is not None:
      raise UsageError(f"there are {role} labels, but no {role} data")
  whole = OnDisk(path)
  if len(whole) < 3:
    raise UsageError(f"{path} holds {len(whole)} examples: give three or more")
  all_labels = checked_labels(train_labels, len(whole), "the labels")
  num_test = num_validation = 0
  if test is None:
    num_test = _num_held_out(max(test_fraction * len(whole), 1), len(whole))
  if validation is None:
    num_left = len(whole) - num_test
    num_validation = _num_held_out(validation_fraction * num_left, num_left)
  rows = _draw_rows(len(whole), (num_test, num_validation), seed)

  def labels(rows: np.ndarray) -> np.ndarray | None:
    return None if all_labels is None else all_labels[rows]

  if num_test:
    test, test_labels = whole[rows[0]], labels(rows[0])
  if num_validation:
    validation, validation_labels = whole[rows[1]], labels(rows[1])
  dataset = from_arrays(
    whole[rows[2]],
    test,
    labels(rows[2]),
    test_labels,
    validation=validation,
    validation_labels=validation_labels,
    validation_fraction=0.0,
    name=name,
    standardize=standardize,
  )
  dtype = np.dtype(np.uint8 if dataset.bytes else np.float32)
  held_out = np.sort(np.concatenate(rows[:2]))
  stream = OnDisk(path, held_out, dtype, dataset.standardization)
  return dataset._replace(stream=stream)


def _num_held_out(wanted: float, num_left: int) -> int:
  return min(round(wanted), num_left - 2, _MAX_HELD_OUT)


def _draw_rows(
  num_rows: int, held_out: tuple[int, ...], seed: int
) -> list[np.ndarray]:
  """The rows of each part that is held out and of the sample, sorted."""
  num_sample = min(num_rows - sum(held_out), _MAX_SAMPLE)
  rng = np.random.default_rng(seed)
  chosen = rng.choice(num_rows, sum(held_out) + num_sample, replace=False)
  return [*map(np.sort, np.split(chosen, np.cumsum(held_out)))]
