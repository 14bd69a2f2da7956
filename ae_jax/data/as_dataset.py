"""Arrays, a file or a name -> `Dataset`."""

import os
from collections.abc import Sequence
from typing import Any

from numpy.typing import ArrayLike

from ae_jax.data.arrays import from_arrays
from ae_jax.data.dataset import Dataset
from ae_jax.data.sources import load
from ae_jax.types import UsageError


def as_dataset(
  x: ArrayLike | Dataset | str | os.PathLike[str],
  test: ArrayLike | None = None,
  labels: ArrayLike | None = None,
  test_labels: ArrayLike | None = None,
  *,
  validation: ArrayLike | None = None,
  validation_labels: ArrayLike | None = None,
  factors: Any = None,
  standardize: bool = False,
  anomaly_classes: Sequence[Any] = (),
  missing: bool = False,
) -> Dataset:
  """Makes a dataset of arrays, of a file or of a name.

  Args:
    x: data `[n, *features]`; a `Dataset`, which stays as it is; a `.npy` or
      `.npz` file; or a name, see `load`.
    test: data `[m, *features]`; without it a fifth of `x` is held out.
    labels: of x, `[n]`.
    test_labels: of `test`, `[m]`.
    validation: data `[k, *features]`; without it a tenth of what is left of
      `x` is held out.
    validation_labels: of `validation`, `[k]`.
    factors: that x was made from, `[n, factors]`: numbers, which have an
      order, or words, which have none.
    standardize: gives `(x - mean) / std` for each feature.
    anomaly_classes: labels of which nothing is trained on, see `from_arrays`.
    missing: whether entries may be missing: those that are NaN.

  Raises:
    UsageError: it is none of these, or labels, other parts or factors are
      given for a dataset that has its own.
  """
  if isinstance(x, Dataset | str | os.PathLike):
    given = {
      "test": test,
      "labels": labels,
      "test_labels": test_labels,
      "validation": validation,
      "validation_labels": validation_labels,
      "factors": factors,
    }
    for name, value in given.items():
      if value is not None:
        raise UsageError(
          f"{name} goes with an array; here the data is {_named(x)}"
        )
  if callable(x):
    raise UsageError(
      'the data are a function: call it, or give its name as "module:function"'
    )
  options: Any = {
    "standardize": standardize,
    "anomaly_classes": (*anomaly_classes,),
    "missing": missing,
  }
  if isinstance(x, Dataset):
    for name, value in options.items():
      if value:
        raise UsageError(f"{name} goes with an array, a file or a name")
    return x
  if isinstance(x, str | os.PathLike):
    text = os.fspath(x)
    if text.endswith((".npy", ".npz")):
      return load(path=text, **options)
    return load(name=text, **options)
  return from_arrays(
    x,
    test,
    labels,
    test_labels,
    validation=validation,
    validation_labels=validation_labels,
    train_factors=factors,
    **options,
  )


def _named(x: Dataset | str | os.PathLike[str]) -> str:
  return f"dataset {x.name!r}" if isinstance(x, Dataset) else repr(os.fspath(x))
