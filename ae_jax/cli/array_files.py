"""Arrays of a user's own files, in and out, of any length.

A `.npy` is memory-mapped and written batch by batch; nothing is unpickled.
"""

import math
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from ae_jax.atomic import check_regular, replacing
from ae_jax.data import to_float
from ae_jax.data.files import reading
from ae_jax.types import UsageError


def read(path: Path, features: tuple[int, ...]) -> np.ndarray:
  """Opens an array of examples.

  Args:
    path: `.npy`; `.npz` with an array `x` or only one; or `.png`, one image.
    features: shape of an example; an image is read in the colors it asks for.

  Returns:
    `[n, ...]`; of a `.npy` memory-mapped; of an image `[1, *features]`, in
    [0, 1].

  Raises:
    UsageError: the file cannot be read, or is none of these, or an image of
      another size.
  """
  with reading(str(path), Image.DecompressionBombError):
    array = _open(path, features)
  if array.ndim == 0 or array.dtype.kind not in "buif":
    raise UsageError(
      f"{path} must hold numbers [n, ...]; it is of type {array.dtype} and"
      f" shape {array.shape}"
    )
  return array


def write(
  path: Path, shape: tuple[int, ...], batches: Iterable[np.ndarray]
) -> None:
  """Writes a `.npy` batch by batch; it is there whole or not at all.

  It is written in sequence and not through a memory map: then a full disk is an
  error, and what is written does not count as memory of the process.

  Args:
    path: is replaced where it exists.
    shape: of all batches together.
    batches: of one type.

  Raises:
    UsageError: it cannot be written.
  """
  num_values = 0
  try:
    with replacing(path) as file:
      for i, batch in enumerate(batches):
        if i == 0:
          header = {
            "descr": np.lib.format.dtype_to_descr(batch.dtype),
            "fortran_order": False,
            "shape": shape,
          }
          np.lib.format.write_array_header_1_0(file, header)
        file.write(np.ascontiguousarray(batch).data)
        num_values += batch.size
      if num_values != math.prod(shape):
        raise ValueError(f"{num_values} values do not fill {shape}")
  except OSError as error:
    raise UsageError(f"cannot write {path}: {error.strerror}") from error


def check_output(
  path: Path, suffixes: Sequence[str], inputs: Sequence[Path]
) -> None:
  """Raises UsageError unless an output can be written, and is no input."""
  if path.suffix not in suffixes:
    raise UsageError(f"OUTPUT must end in {' or '.join(suffixes)}; got {path}")
  if not path.parent.is_dir():
    raise UsageError(f"cannot write {path}: there is no folder {path.parent}")
  if path.is_dir():
    raise UsageError(f"cannot write {path}: it is a folder")
  if not os.access(path.parent, os.W_OK):
    raise UsageError(f"cannot write {path}: {path.parent} is read-only")
  for given in inputs:
    if path.exists() and given.exists() and path.samefile(given):
      raise UsageError(f"{path} is the input; name another output")


def _open(path: Path, features: tuple[int, ...]) -> np.ndarray:
  check_regular(path)
  with path.open("rb") as file:
    start = file.read(8)
  if start.startswith(b"\x93NUMPY"):
    return np.load(path, mmap_mode="r", allow_pickle=False)
  if start.startswith(b"PK"):
    return _read_npz(path)
  if start == b"\x89PNG\r\n\x1a\n":
    return _read_image(path, features)
  raise UsageError(f"{path} is no .npy, .npz or .png file")


def _read_npz(path: Path) -> np.ndarray:
  with np.load(path, allow_pickle=False) as arrays:
    names = arrays.files
    if "x" not in names and len(names) != 1:
      raise UsageError(
        f"{path} holds the arrays {sorted(names)}: give one named x, or one"
      )
    return arrays["x" if "x" in names else names[0]]


def _read_image(path: Path, features: tuple[int, ...]) -> np.ndarray:
  color = features[2:] == (3,)
  if len(features) not in (2, 3) or features[2:] not in ((), (1,), (3,)):
    raise UsageError(f"{path} is an image; the data has shape {features}")
  with Image.open(path, formats=["PNG"]) as image:
    if image.size != (features[1], features[0]):
      raise UsageError(
        f"{path} is {image.height} pixels high and {image.width} wide; the data"
        f" is {features[0]} and {features[1]}"
      )
    if image.mode.startswith(("I", "F")):
      raise UsageError(f"{path} has 16 bits a pixel; give 8")
    pixels = np.asarray(image.convert("RGB" if color else "L"))
  return to_float(pixels).reshape(1, *features)
