"""Arrays -> `Dataset`: checked, converted, split and standardized."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from ae_jax.data.dataset import Dataset, Standardization, to_float
from ae_jax.types import UsageError

_MAX_INTEGER = 1 << 24


def from_arrays(
  train: ArrayLike,
  test: ArrayLike | None = None,
  train_labels: ArrayLike | None = None,
  test_labels: ArrayLike | None = None,
  *,
  train_factors: ArrayLike | None = None,
  test_factors: np.ndarray | None = None,
  factor_names: tuple[str, ...] = (),
  name: str = "arrays",
  test_fraction: float = 0.2,
  seed: int = 0,
  standardize: bool = False,
) -> Dataset:
  """Makes a dataset from arrays.

  uint8 stays uint8, which stands for x / 255, unless it holds zeros and ones
  only. These, booleans, other integers and floats become float32 and
  keep their values: nothing is rescaled unless `standardize` asks for it, and
  integers that float32 does not hold are refused.

  Args:
    train: `[n, *features]`; features may be of any shape, `[n]` included.
    test: `[m, *features]`; without it, `round(test_fraction * n)` examples
      drawn from `train` are held out, at least one and all but two at most.
    train_labels: `[n]` or `[n, 1]`.
    test_labels: `[m]` or `[m, 1]`; needs `test`.
    train_factors: `[n, factors]`, numbers or words, see `Dataset`.
    test_factors: `[m, factors]`, of `test`; both are integers from 0 then.
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
  y = checked_labels(train_labels, len(x), "the labels")
  factors = None
  if train_factors is not None:  # those of a test set are numbered with them
    is_whole = test_factors is None
    factors = numbered(train_factors) if is_whole else np.asarray(train_factors)
  factor_names = _factor_names(factors, len(x), factor_names)
  rest = _Part(x, y, factors)
  if test is not None:
    held_out = _test_set(test, test_labels, test_factors, like=x)
  elif test_labels is not None:
    raise UsageError("there are test labels, but no test data")
  else:
    rest, held_out = _split(rest, test_factors, test_fraction, seed)
  x, x_test = rest.x, held_out.x
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
    name=name,
    train=x,
    test=x_test,
    train_labels=rest.labels,
    test_labels=held_out.labels,
    standardization=statistics,
    bytes=are_bytes,
    train_factors=rest.factors,
    test_factors=held_out.factors,
    factor_names=factor_names,
  )


def numbered(factors: ArrayLike) -> np.ndarray:
  """Which value of each factor it is, from 0 in the order of the values."""
  array = np.asarray(factors)
  if array.ndim != 2 or array.dtype.kind not in "biufSU":
    raise UsageError(
      "the factors must be numbers or words [n, factors]; got"
      f" {array.dtype} {array.shape}"
    )
  columns = [np.unique(v, return_inverse=True)[1] for v in array.T]
  return np.stack(columns, axis=1).astype(np.int32)


class _Part(NamedTuple):
  """The train set or the test set, see `Dataset`."""

  x: np.ndarray
  labels: np.ndarray | None
  factors: np.ndarray | None

  def take(self, rows: np.ndarray) -> "_Part":
    """Some of its examples."""
    labels = None if self.labels is None else self.labels[rows]
    factors = None if self.factors is None else self.factors[rows]
    return _Part(self.x[rows], labels, factors)


def _factor_names(
  factors: np.ndarray | None, num_examples: int, names: tuple[str, ...]
) -> tuple[str, ...]:
  """The names of the factors, which are checked."""
  if factors is None:
    return names
  if len(factors) != num_examples:
    raise UsageError(
      f"there are factors of {len(factors)} examples, and {num_examples}"
      " examples"
    )
  numbers = range(1, factors.shape[1] + 1)
  return names or tuple(f"factor_{number}" for number in numbers)


def _test_set(
  test: ArrayLike,
  labels: ArrayLike | None,
  factors: np.ndarray | None,
  like: np.ndarray,
) -> _Part:
  """The test set that is given, of examples like those of the train set."""
  x = _examples(test, "the test data")
  y = checked_labels(labels, len(x), "the test labels")
  if x.shape[1:] != like.shape[1:]:
    raise UsageError(
      f"the test data has features of shape {x.shape[1:]}, the train "
      f"data of {like.shape[1:]}: they must be the same"
    )
  if x.dtype != like.dtype:
    raise UsageError(
      f"the test data is {x.dtype}, the train data {like.dtype} (anything "
      "but uint8 counts as float32): they must be the same"
    )
  return _Part(x, y, factors)


def _split(
  whole: _Part,
  test_factors: np.ndarray | None,
  test_fraction: float,
  seed: int,
) -> tuple[_Part, _Part]:
  """What is left to train on, and the test set that is held out."""
  num_examples = len(whole.x)
  if num_examples < 3:
    raise UsageError(
      "the data needs at least three examples, two to train on and one to test:"
      f" got {num_examples}"
    )
  order = np.random.default_rng(seed).permutation(num_examples)
  num_test = min(max(round(test_fraction * num_examples), 1), num_examples - 2)
  held_out = whole.take(order[:num_test])
  if whole.factors is None:
    held_out = held_out._replace(factors=test_factors)
  return whole.take(order[num_test:]), held_out


def check_split(test_fraction: float, seed: int) -> None:
  """Raises UsageError unless examples can be held out so."""
  if not 0 < test_fraction < 1:
    raise UsageError(f"test_fraction={test_fraction}: give 0 < fraction < 1")
  if seed < 0:
    raise UsageError(f"seed={seed}: give an integer of 0 or more")


def _examples(values: ArrayLike, what: str) -> np.ndarray:
  """Returns `[n, *features]` as uint8 or finite float32 of the same value."""
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
  check_integers(x, what)
  with np.errstate(over="ignore"):  # an overflow is reported as infinite below
    x = np.ascontiguousarray(x, dtype=np.float32)
  _check_finite(x, what)
  return x


def check_integers(x: np.ndarray, what: str) -> None:
  """Raises UsageError where float32 would change integers: beyond 2^24."""
  if x.dtype.kind not in "iu" or x.size == 0:
    return
  for extreme in (int(x.min()), int(x.max())):
    if abs(extreme) > _MAX_INTEGER:
      raise UsageError(
        f"{what} holds the integer {extreme}, and float32 holds them up to 2^24"
        f" = {_MAX_INTEGER:,} only: give differences from one of them, or"
        " floats if they may be rounded"
      )


def checked_labels(
  values: ArrayLike | None, num_examples: int, what: str
) -> np.ndarray | None:
  """Labels as `[num_examples]`, of which they may be a column; None for None.

  Raises:
    UsageError: there are more or fewer, or they are Python objects.
  """
  if values is None:
    return None
  y = _array(values, what)
  if y.shape == (num_examples, 1):
    y = y[:, 0]
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
  if array.dtype.hasobject and all(isinstance(v, str) for v in array.flat):
    return array.astype(str)  # as pandas has words
  if array.dtype.hasobject:
    raise UsageError(
      f"{what}: Python objects are not read; give an array of numbers or words"
    )
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
