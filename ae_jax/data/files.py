"""A user's `.npy` and `.npz` files -> arrays; nothing is unpickled."""

import contextlib
import os
from collections.abc import Iterator

import numpy as np

from ae_jax.atomic import DAMAGED, check_regular
from ae_jax.types import UsageError

_ROLES = {
  "x": "train",
  "y": "train_labels",
  "data": "train",
  "target": "train_labels",
  "factors": "train_factors",
  "x_train": "train",
  "y_train": "train_labels",
  "x_validation": "validation",
  "y_validation": "validation_labels",
  "x_test": "test",
  "y_test": "test_labels",
}
_PLAIN = {"x", "y", "factors"}
_SCIKIT_LEARN = {"data", "target"}
_PARTS = _ROLES.keys() - _PLAIN - _SCIKIT_LEARN


def read(
  path: str | os.PathLike[str],
  *,
  labels_path: str | os.PathLike[str] | None = None,
  test_path: str | os.PathLike[str] | None = None,
  test_labels_path: str | os.PathLike[str] | None = None,
  validation_path: str | os.PathLike[str] | None = None,
  validation_labels_path: str | os.PathLike[str] | None = None,
  in_memory: bool = True,
) -> dict[str, np.ndarray]:
  """Reads the arrays that `from_arrays` takes, as far as the files hold them.

  A `.npz` file holds `x` and perhaps `y` and `factors` `[n, factors]`; or
  `data` and perhaps `target`, as scikit-learn has them; or `x_train`, `x_test`
  and perhaps `x_validation`, `y_train`, `y_validation`, `y_test`; or one array
  of any name.

  Args:
    path: `.npy` or `.npz`.
    labels_path: the labels of `path`, one array.
    test_path: `.npy` or `.npz`, with examples of one part alone.
    test_labels_path: the labels of `test_path`, one array.
    validation_path: `.npy` or `.npz`, with examples of one part alone.
    validation_labels_path: the labels of `validation_path`, one array.
    in_memory: False leaves out what `path` holds.

  Returns:
    `train`, and what there is of `validation`, `test`, the labels of the
    three, and `train_factors`.

  Raises:
    UsageError: at a file that cannot be read, at other keys, and at an array
      that is given twice.
  """
  arrays = _read_data("data.path", path) if in_memory else {}
  if labels_path is not None:
    labels = _read_one("data.labels_path", labels_path)
    _add(arrays, "train_labels", labels, "data.labels_path")
  for role, part, labels_of in (
    ("test", test_path, test_labels_path),
    ("validation", validation_path, validation_labels_path),
  ):
    if part is not None:
      _add_part(arrays, role, part)
    if labels_of is not None:
      option = f"data.{role}_labels_path"
      _add(arrays, f"{role}_labels", _read_one(option, labels_of), option)
  return arrays


def _add_part(
  arrays: dict[str, np.ndarray], role: str, path: str | os.PathLike[str]
) -> None:
  """Adds the test or the validation set of a file of its own."""
  option = f"data.{role}_path"
  part = _read_data(option, path)
  if "train_factors" in part:
    raise UsageError(f"{option}={path} holds factors: only data.path may")
  if "test" in part:
    raise UsageError(
      f"{option}={path} holds a train and a test set: give one with x and"
      " optional y, or with one array"
    )
  for name, values in part.items():
    _add(arrays, name.replace("train", role), values, option)


def _add(
  arrays: dict[str, np.ndarray], role: str, values: np.ndarray, option: str
) -> None:
  if role in arrays:
    raise UsageError(
      f"{option} gives {role.replace('_', ' ')} that another file holds "
      "already: give them once"
    )
  arrays[role] = values


def _read_data(
  option: str, path: str | os.PathLike[str]
) -> dict[str, np.ndarray]:
  """Returns the arrays of a file by their role."""
  arrays = _read_file(option, path)
  keys = arrays.keys()
  if len(keys) == 1:
    return {"train": next(iter(arrays.values()))}
  if (
    {"x"} <= keys <= _PLAIN
    or {"data"} <= keys <= _SCIKIT_LEARN
    or {"x_train", "x_test"} <= keys <= _PARTS
  ):
    return {_ROLES[key]: values for key, values in arrays.items()}
  raise UsageError(
    f"{option}={path} holds the arrays {sorted(keys)}: give x and optional y "
    "and factors; or data and optional target; or x_train, x_test and optional "
    "x_validation, y_train, y_validation, y_test; or one of any name"
  )


@contextlib.contextmanager
def reading(name: str, *others: type[Exception]) -> Iterator[None]:
  """Makes what is raised at a file that cannot be read one line.

  Args:
    name: of the file, as the user gave it.
    others: what else says that it cannot be read.

  Raises:
    UsageError: the block raised it, or what files raise that are absent or
      damaged.
  """
  unreadable: tuple[type[Exception], ...] = (OSError, MemoryError, *others)
  try:
    yield
  except UsageError:
    raise
  except unreadable as error:
    reason = getattr(error, "strerror", None) or error
    raise UsageError(f"cannot read {name}: {reason}") from error
  except DAMAGED as error:
    reason = str(error).partition("\n")[0]
    raise UsageError(
      f"cannot read {name}, which is damaged or holds Python objects: {reason}"
    ) from error


def _read_one(option: str, path: str | os.PathLike[str]) -> np.ndarray:
  """Returns the only array of a file."""
  arrays = _read_file(option, path)
  if len(arrays) != 1:
    raise UsageError(
      f"{option}={path} holds the arrays {sorted(arrays)}: give one array"
    )
  return next(iter(arrays.values()))


def _read_file(
  option: str, path: str | os.PathLike[str]
) -> dict[str, np.ndarray]:
  """Returns all arrays of a `.npz` file, or the one of a `.npy` file."""
  with reading(f"{option}={path}"):
    check_regular(os.path.expanduser(path))
    with open(os.path.expanduser(path), "rb") as file:
      is_numpy = file.read(6).startswith((b"\x93NUMPY", b"PK"))
      file.seek(0)
      if is_numpy:
        loaded = np.load(file, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
          return {"x": loaded}
        return {key: loaded[key] for key in loaded.files}
  raise UsageError(
    f"{option}={path} is neither a .npy nor a .npz file: numpy.save writes one"
  )
