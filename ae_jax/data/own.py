"""Datasets of a user: functions that give arrays."""

import re
from collections.abc import Callable
from typing import Any

import numpy as np

from ae_jax.types import UsageError, reason

_FIELDS = {
  "x": "train",
  "validation": "validation",
  "test": "test",
  "labels": "train_labels",
  "validation_labels": "validation_labels",
  "test_labels": "test_labels",
  "factors": "train_factors",
}


def is_own(name: str) -> bool:
  """Whether a name is `module:function`; TFDS has versions after a colon."""
  return re.fullmatch(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*", name) is not None


def read(function: Callable[[], Any], name: str) -> dict[str, Any]:
  """The arrays of a function, as `from_arrays` takes them.

  Args:
    function: declared by `@ae_jax.dataset()`: () -> x `[n, *features]`, or a
      dict of `x`, `validation`, `test`, `labels`, `validation_labels`,
      `test_labels` and `factors`; `x` alone is needed.
    name: of the function.

  Raises:
    UsageError: it raises, or gives something else.
  """
  try:
    made = function()
  except Exception as error:  # a user's code may raise anything
    raise UsageError(f"dataset {name} raised {reason(error)}") from error
  if isinstance(made, np.ndarray) or hasattr(made, "__array__"):
    return {"train": np.asarray(made)}
  if not isinstance(made, dict):
    raise UsageError(
      f"dataset {name} must return an array x, or a dict of"
      f" {', '.join(_FIELDS)}; it returns {type(made).__name__}"
    )
  if "x" not in made or not made.keys() <= _FIELDS.keys():
    raise UsageError(
      f"dataset {name} must return x, or a dict of {', '.join(_FIELDS)} with x"
      f" in it; it returns {', '.join(map(str, made)) or 'an empty dict'}"
    )
  return {_FIELDS[field]: np.asarray(array) for field, array in made.items()}
