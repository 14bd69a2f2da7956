"""Factors that examples were made from: their numbers, names and order."""

import numpy as np
from numpy.typing import ArrayLike

from ae_jax.types import UsageError


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


def names_of(
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


def unordered(
  factors: ArrayLike | None, given: tuple[str, ...], names: tuple[str, ...]
) -> tuple[str, ...]:
  """The names of factors whose values have no order: of words, all."""
  if np.asarray(factors).dtype.kind in "SU":
    return names
  if unknown := {*given} - {*names}:
    raise UsageError(
      f"unordered_factors: {sorted(unknown)} are not among {names}"
    )
  return given
