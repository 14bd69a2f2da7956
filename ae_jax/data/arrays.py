"""Arrays -> `Dataset`: checked, converted, split and standardized."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from ae_jax.data import anomalies
from ae_jax.data.dataset import Dataset, Standardization, to_float
from ae_jax.data.factors import names_of, numbered, unordered
from ae_jax.data.observed import check_observed, statistics_of
from ae_jax.types import UsageError

_MAX_INTEGER = 1 << 24


def from_arrays(
  train: ArrayLike,
  test: ArrayLike | None = None,
  train_labels: ArrayLike | None = None,
  test_labels: ArrayLike | None = None,
  *,
  validation: ArrayLike | None = None,
  validation_labels: ArrayLike | None = None,
  train_factors: ArrayLike | None = None,
  test_factors: np.ndarray | None = None,
  validation_factors: np.ndarray | None = None,
  factor_names: tuple[str, ...] = (),
  unordered_factors: tuple[str, ...] = (),
  anomaly_classes: Sequence[Any] = (),
  name: str = "arrays",
  test_fraction: float = 0.2,
  validation_fraction: float = 0.1,
  seed: int = 0,
  standardize: bool = False,
  missing: bool = False,
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
    validation: `[k, *features]`; without it, `round(validation_fraction * n)`
      of the n examples that are left in `train` are held out, all but two at
      most.
    validation_labels: `[k]` or `[k, 1]`; needs `validation`.
    train_factors: `[n, factors]`, numbers or words, see `Dataset`.
    test_factors: `[m, factors]`, of `test`.
    validation_factors: `[k, factors]`, of `validation`; where one of these two
      is given, all factors are integers from 0.
    factor_names: of each; "factor_1", ... by default.
    unordered_factors: the names of those whose values have no order although
      they are numbers; words never have one.
    anomaly_classes: labels whose examples are left out of the train set, and
      are the anomalies of the validation and of the test set.
    name: the dataset's name.
    test_fraction: strictly between 0 and 1.
    validation_fraction: in [0, 1); 0 makes no validation set.
    seed: which examples are held out.
    standardize: gives `(x - mean) / std` for each feature, with the train
      set's statistics, as float32; a constant feature keeps std 1, and bytes
      are mapped to [0, 1] first. Of missing entries nothing is counted.
    missing: whether entries may be missing: those that are NaN.

  Returns:
    The dataset, in row-major arrays of native byte order.

  Raises:
    UsageError: at anything that is not a train and a test set of finite
      numbers and labels of the same length; or a feature is missing in all
      examples to train on, or bytes are to be missing.
  """
  check_split(test_fraction, validation_fraction, seed)
  x = _examples(train, "the data", missing)
  y = checked_labels(train_labels, len(x), "the labels")
  factors = None
  if train_factors is not None:  # those of other parts are numbered with them
    alone = test_factors is None and validation_factors is None
    factors = (numbered if alone else np.asarray)(train_factors)
  factor_names = names_of(factors, len(x), factor_names)
  unordered_factors = unordered(train_factors, unordered_factors, factor_names)
  parts = {"train": _Part(x, y, factors)}
  for role, data, labels, factors_of in (
    ("test", test, test_labels, test_factors),
    ("validation", validation, validation_labels, validation_factors),
  ):
    parts |= _given(role, data, labels, factors_of, like=x, missing=missing)
  if missing and x.dtype == np.uint8:
    raise UsageError("missing=True: bytes hold no NaN; give floats")
  _hold_out(parts, "test", test_fraction, seed)
  _hold_out(parts, "validation", validation_fraction, (seed, 1))
  held_out = _drop_anomalies(parts, anomaly_classes)
  if len(parts["train"].x) < 2:
    raise UsageError("the data needs at least two examples to train on: got 1")
  if missing:
    check_observed(parts["train"].x)
  are_bytes = _make_floats_of_bits(parts)
  statistics = _standardize(parts) if standardize else None
  fields: dict[str, Any] = {role: part.x for role, part in parts.items()}
  fields |= {f"{role}_labels": part.labels for role, part in parts.items()}
  fields |= {f"{role}_factors": part.factors for role, part in parts.items()}
  return Dataset(
    name=name,
    **fields,
    standardization=statistics,
    bytes=are_bytes,
    missing=missing,
    factor_names=factor_names,
    unordered_factors=unordered_factors,
    **held_out,
  )


class _Part(NamedTuple):
  """The train, the validation or the test set, see `Dataset`."""

  x: np.ndarray
  labels: np.ndarray | None
  factors: np.ndarray | None

  def take(self, rows: np.ndarray) -> "_Part":
    """Some of its examples."""
    labels = None if self.labels is None else self.labels[rows]
    factors = None if self.factors is None else self.factors[rows]
    return _Part(self.x[rows], labels, factors)


def _given(
  role: str,
  values: ArrayLike | None,
  labels: ArrayLike | None,
  factors: np.ndarray | None,
  like: np.ndarray,
  missing: bool,
) -> dict[str, _Part]:
  """A part that is given, of examples like those of the train set."""
  if values is None:
    if labels is not None:
      raise UsageError(f"there are {role} labels, but no {role} data")
    return {}
  x = _examples(values, f"the {role} data", missing)
  y = checked_labels(labels, len(x), f"the {role} labels")
  if x.shape[1:] != like.shape[1:]:
    raise UsageError(
      f"the {role} data has features of shape {x.shape[1:]}, the train "
      f"data of {like.shape[1:]}: they must be the same"
    )
  if x.dtype != like.dtype:
    raise UsageError(
      f"the {role} data is {x.dtype}, the train data {like.dtype} (anything "
      "but uint8 counts as float32): they must be the same"
    )
  return {role: _Part(x, y, factors)}


def _hold_out(
  parts: dict[str, _Part], role: str, fraction: float, seed: int | Sequence[int]
) -> None:
  """Takes a part that is not given from the train set."""
  num_examples = len(parts["train"].x)
  if role == "test" and role not in parts and num_examples < 3:
    raise UsageError(
      "the data needs at least three examples, two to train on and one to test:"
      f" got {num_examples}"
    )
  number = min(round(fraction * num_examples), num_examples - 2)
  number = max(number, 1) if role == "test" else number
  if role in parts or number < 1:
    return
  order = np.random.default_rng(seed).permutation(num_examples)
  parts[role] = parts["train"].take(order[:number])
  parts["train"] = parts["train"].take(order[number:])


def _make_floats_of_bits(parts: dict[str, _Part]) -> bool:
  """Whether examples are bytes; those of zeros and ones become floats."""
  is_uint8 = parts["train"].x.dtype == np.uint8
  if is_uint8 and max(part.x.max() for part in parts.values()) <= 1:
    for role, part in parts.items():
      parts[role] = part._replace(x=part.x.astype(np.float32))
    return False
  return is_uint8


def _standardize(parts: dict[str, _Part]) -> Standardization:
  """Standardizes all parts by the statistics of the train set."""
  statistics = statistics_of(to_float(parts["train"].x))
  for role, part in parts.items():
    with np.errstate(over="ignore"):
      x = statistics.apply(part.x)
    parts[role] = part._replace(x=x)
    _check_finite(x, f"the standardized {role} data", np.isnan(part.x))
  return statistics


def _drop_anomalies(
  parts: dict[str, _Part], classes: Sequence[Any]
) -> dict[str, Any]:
  """Leaves classes out of the train set, and says where others have them."""
  if not len(classes):
    return {}
  labels = {role: part.labels for role, part in parts.items()}
  found = anomalies.find(labels, classes)
  parts["train"] = parts["train"].take(np.flatnonzero(~found.pop("train")))
  return {f"{role}_anomalies": of_class for role, of_class in found.items()}


def check_split(
  test_fraction: float, validation_fraction: float, seed: int
) -> None:
  """Raises UsageError unless examples can be held out so."""
  if not 0 < test_fraction < 1:
    raise UsageError(f"test_fraction={test_fraction}: give 0 < fraction < 1")
  if not 0 <= validation_fraction < 1:
    raise UsageError(
      f"validation_fraction={validation_fraction}: give 0 <= fraction < 1"
    )
  if seed < 0:
    raise UsageError(f"seed={seed}: give an integer of 0 or more")


def _examples(values: ArrayLike, what: str, missing: bool) -> np.ndarray:
  """Returns `[n, *features]` as uint8 or finite float32 of the same value.

  With `missing` NaN may be there, too.
  """
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
  _check_finite(x, what, np.isnan(x) & missing)
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
  if hasattr(values, "toarray"):  # of scipy.sparse
    raise UsageError(f"{what} is a sparse matrix: give x.toarray()")
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


def _check_finite(x: np.ndarray, what: str, allowed: np.ndarray) -> None:
  bad = ~(np.isfinite(x) | allowed)
  if bad.any():
    hint = ""
    if np.isnan(x[bad]).any():
      hint = "; where NaN is missing give missing=True (data.missing=True)"
    first = tuple(int(i) for i in np.unravel_index(bad.argmax(), x.shape))
    raise UsageError(
      f"{what} holds {bad.sum()} values that are NaN or infinite as float32, "
      f"the first at index {first}{hint}"
    )
