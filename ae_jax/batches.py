"""Arrays of any length, checked and handed on in batches."""

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np

from ae_jax.types import Array, UsageError

_SIZE = 1024


def padded(
  function: Callable[[np.ndarray], Array], batch: np.ndarray
) -> np.ndarray:
  """Applies a function to a power of two of rows: few shapes to compile."""
  size = 1 << max(len(batch) - 1, 0).bit_length()
  padding = [(0, size - len(batch))] + [(0, 0)] * (batch.ndim - 1)
  with jax.default_matmul_precision("highest"):  # as it was measured
    return np.asarray(function(np.pad(batch, padding)))[: len(batch)]


def checked(x: Any, trailing: tuple[int, ...], what: str) -> np.ndarray:
  """Returns numbers `[n, *trailing]`, or raises."""
  x = np.asarray(x)
  if x.shape[1:] != trailing or x.ndim == 0:
    wanted = ", ".join(map(str, ("n", *trailing)))
    raise UsageError(f"the {what} must have shape [{wanted}]; got {x.shape}")
  if x.dtype.kind not in "buif":
    raise UsageError(f"the {what} must be numbers; got type {x.dtype}")
  return x


def blocks(x: np.ndarray) -> Iterator[np.ndarray]:
  """Gives `[batch, ...]` at a time; of no rows one empty batch."""
  for start in range(0, max(len(x), 1), _SIZE):
    yield x[start : start + _SIZE]


def float32(x: np.ndarray) -> np.ndarray:
  """The same numbers, infinite where they are too large."""
  with np.errstate(over="ignore"):  # `finite` finds it
    return x.astype(np.float32)


def finite(
  batches: Iterator[np.ndarray], what: str, missing: bool = False
) -> Iterator[np.ndarray]:
  """Gives the batches, or raises; with `missing` they may hold NaN."""
  start = 0
  for batch in batches:
    allowed = np.isfinite(batch) | (np.isnan(batch) & missing)
    finite = allowed.all(axis=tuple(range(1, batch.ndim)))
    if not finite.all():
      raise UsageError(
        f"row {start + finite.argmin()} of the {what} (counted from 0) is"
        f" {'' if missing else 'NaN or '}infinite as float32"
      )
    yield batch
    start += len(batch)


def like_trained(
  batches: Iterator[np.ndarray], data_range: tuple[float, float]
) -> Iterator[np.ndarray]:
  """Gives the batches, with one warning where their units look like others.

  Args:
    batches: finite numbers.
    data_range: the least and the greatest value of the train data. What lies
      beyond by more than their difference is told.
  """
  least, greatest = data_range
  width, is_told = greatest - least, False
  for batch in batches:
    if batch.size and not is_told:
      low, high = (f.reduce(batch, axis=None) for f in (np.fmin, np.fmax))
      is_told = bool(low < least - width or high > greatest + width)
      if is_told:
        warnings.warn(
          f"the data are in [{low:.4g}, {high:.4g}], far beyond those that the"
          f" model was trained on, in [{least:.4g}, {greatest:.4g}]: are they"
          " in the same units?",
          stacklevel=3,
        )
    yield batch
