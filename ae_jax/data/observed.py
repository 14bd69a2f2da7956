"""The entries of data that are not missing: checks and statistics."""

import numpy as np

from ae_jax.data.dataset import Standardization
from ae_jax.types import UsageError


def check_observed(x: np.ndarray) -> None:
  """Raises UsageError where no example has a feature."""
  never = np.isnan(x).all(axis=0)
  if never.any():
    feature = tuple(int(i) for i in np.argwhere(never)[0])
    raise UsageError(
      f"feature {feature[0] if len(feature) == 1 else feature} is missing in"
      " all examples to train on: leave it out"
    )


def statistics_of(x: np.ndarray) -> Standardization:
  """Mean and deviation of each feature of `[n, *features]`."""
  if np.isnan(x).any():
    mean = np.asarray(np.nanmean(x, axis=0, dtype=np.float64))
    std = np.asarray(np.nanstd(x, axis=0, dtype=np.float64))
  else:
    mean = x.mean(axis=0, dtype=np.float64)
    std = x.std(axis=0, dtype=np.float64)
  # Not std == 0: the mean of equal numbers is off by a rounding error.
  constant = np.nanmax(x, axis=0) == np.nanmin(x, axis=0)
  std = np.where(constant, 1, std)
  return Standardization(mean, std)
