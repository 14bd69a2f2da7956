"""Arrays -> `Dataset`: checked, converted, split and standardized."""

import numpy as np
from numpy.typing import ArrayLike

from ae_jax.data.dataset import Dataset, Standardization, to_float
from ae_jax.types import UsageError


def from_arrays(
  train: ArrayLike,
  test: ArrayLike | None = None,
  train_labels: ArrayLike | None = None,
  test_labels: ArrayLike | None = None,
  *,
  train_factors: np.ndarray | None = None,
  test_factors: np.ndarray | None = None,
  factor_names: tuple[str, ...] = (),
  name: str = "arrays",
  test_fraction: float = 0.2,
  seed: int = 0,
  standardize: bool = False,
) -> Dataset:
  """Makes a dataset of one's own arrays.

  uint8 stays uint8, which stands for x / 255, unless it holds zeros and ones
  only. These, booleans, other integers and floats become float32 and
  keep their values: nothing is rescaled unless `standardize` asks for it.

  Args:
    train: `[n, *features]`; features may be of any shape, `[n]` included.
    test: `[m, *features]`; without it, `round(test_fraction * n)` examples
      drawn from `train` are held out, at least one and all but two at most.
    train_labels: `[n]`.
    test_labels: `[m]`; needs `test`.
    train_factors: `[n, factors]`, integers from 0, see `Dataset`.
    test_factors: `[m, factors]`; of all examples that are held out if there is
      no `test`.
    factor_names: of each; "factor_1", ... by default.
    name: the dataset's name.
    test_fraction: strictly between 0 and 1.
    seed: which examples are held out.
    standardize: gives `(x - mean) / std` for each feature, with the train
      set's statistics, as float32; a constant feature keeps std 1, and bytes
      are mapped to [0, 1] first.

  Returns:
    The dataset, in row-major arrays of native byte order.

  Raises:
    UsageError: at anything that is not a train and a test set of finite
      numbers and labels of the same length.
  """
  check_split(test_fraction, seed)
  x = _examples(train, "the data")
  y = _labels(train_labels, len(x), "the labels")
  if train_factors is not None:
    if len(train_factors) != len(x):
      raise UsageError(
        f"there are factors of {len(train_factors)} examples, and {len(x)}"
        " examples"
      )
    factor_names = factor_names or tuple(
      f"factor_{k + 1}" for k in range(train_factors.shape[1])
    )
  if test is not None:
    x_test = _examples(test, "the test data")
    y_test = _labels(test_labels, len(x_test), "the test labels")
    if x_test.shape[1:] != x.shape[1:]:
      raise UsageError(
        f"the test data has features of shape {x_test.shape[1:]}, the train "
        f"data of {x.shape[1:]}: they must be the same"
      )
    if x_test.dtype != x.dtype:
      raise UsageError(
        f"the test data is {x_test.dtype}, the train data {x.dtype} (anything "
        "but uint8 counts as float32): they must be the same"
      )
  elif test_labels is not None:
    raise UsageError("there are test labels, but no test data")
  elif len(x) < 3:
    raise UsageError(
      "the data needs at least three examples, two to train on and one to test:"
      f" got {len(x)}"
    )
  else:
    order = np.random.default_rng(seed).permutation(len(x))
    num_test = min(max(round(test_fraction * len(x)), 1), len(x) - 2)
    held_out, kept = order[:num_test], order[num_test:]
    x_test, x = x[held_out], x[kept]
    y_test, y = (None, None) if y is None else (y[held_out], y[kept])
    if train_factors is not None:
      test_factors, train_factors = train_factors[held_out], train_factors[kept]
  if len(x) < 2:
    raise UsageError("the data needs at least two examples to train on: got 1")
  if x.dtype == np.uint8 and max(x.max(), x_test.max()) <= 1:
    x, x_test = x.astype(np.float32), x_test.astype(np.float32)
  are_bytes, statistics = x.dtype == np.uint8, None
  if standardize:
    statistics = _statistics(to_float(x))
    with np.errstate(over="ignore"):
      x, x_test = statistics.apply(x), statistics.apply(x_test)
    _check_finite(x_test, "the standardized test data")
  return Dataset(
    name,
    x,
    x_test,
    y,
    y_test,
    statistics,
    are_bytes,
    train_factors,
    test_factors,
    factor_names,
  )


def check_split(test_fraction: float, seed: int) -> None:
  """Raises UsageError unless examples can be held out so."""
  if not 0 < test_fraction < 1:
    raise UsageError(f"test_fraction={test_fraction}: give 0 < fraction < 1")
  if seed < 0:
    raise UsageError(f"seed={seed}: give an integer of 0 or more")


def _examples(values: ArrayLike, what: str) -> np.ndarray:
  """Returns `[n, *features]` as uint8 or finite float32."""
  x = _array(values, what)
  if x.dtype.kind not in "buif":
    raise UsageError(
      f"{what} is of type {x.dtype}: give uint8, bool, integers or floats"
    )
  if x.ndim == 0 or x.size == 0:
    raise UsageError(
      f"{what} has shape {x.shape}: give [n, ...] with at least one example "
      "and one feature"
    )
  if x.dtype == np.uint8:
    return np.ascontiguousarray(x)
  with np.errstate(over="ignore"):  # an overflow is reported as infinite below
    x = np.ascontiguousarray(x, dtype=np.float32)
  _check_finite(x, what)
  return x


def _labels(
  values: ArrayLike | None, num_examples: int, what: str
) -> np.ndarray | None:
  """Returns `[num_examples]`, or None for None."""
  if values is None:
    return None
  y = _array(values, what)
  if y.shape != (num_examples,):
    raise UsageError(
      f"{what} must have one entry per example, shape ({num_examples},): got "
      f"{y.shape}"
    )
  return y


def _array(values: ArrayLike, what: str) -> np.ndarray:
  try:
    array = np.asarray(values)
  except ValueError as error:  # nested lists of unequal lengths
    raise UsageError(f"{what} is no array: {error}") from error
  if array.dtype.hasobject:
    raise UsageError(f"{what} holds Python objects: give an array of numbers")
  return array


def _check_finite(x: np.ndarray, what: str) -> None:
  bad = ~np.isfinite(x)
  if bad.any():
    first = tuple(int(i) for i in np.unravel_index(bad.argmax(), x.shape))
    raise UsageError(
      f"{what} holds {bad.sum()} values that are NaN or infinite as float32, "
      f"the first at index {first}"
    )


def _statistics(x: np.ndarray) -> Standardization:
  mean = x.mean(axis=0, dtype=np.float64)
  # Not std == 0: the mean of equal numbers is off by a rounding error.
  constant = x.max(axis=0) == x.min(axis=0)
  std = np.where(constant, 1, x.std(axis=0, dtype=np.float64))
  return Standardization(mean, std)
