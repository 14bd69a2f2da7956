"""Files that are there whole or not at all, and what tells that one is not."""

import contextlib
import errno
import lzma
import os
import tokenize
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

# What NumPy and the libraries under it raise at a file with changed bytes.
DAMAGED = (
  ValueError,
  TypeError,
  ArithmeticError,
  MemoryError,
  EOFError,
  SyntaxError,
  tokenize.TokenError,
  RuntimeError,
  lzma.LZMAError,
  zipfile.BadZipFile,
  zlib.error,
)


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
  """Opens a file that takes the place of `path` when the block ends.

  A block that raises leaves `path` as it was; so does a process that is killed.
  When it has ended, power may fail.

  Args:
    path: in a folder that exists.

  Raises:
    OSError: the file cannot be written.
  """
  partial = path.with_name(f".{path.name}.partial")
  try:
    with partial.open("wb") as file:
      yield file
      file.flush()
      os.fsync(file.fileno())
    partial.replace(path)
  except BaseException:
    partial.unlink(missing_ok=True)
    raise
  sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
  """Makes the names in a folder durable, where its file system can."""
  descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
  try:
    os.fsync(descriptor)
  except OSError as error:
    if error.errno not in (errno.EINVAL, errno.ENOTSUP):
      raise
  finally:
    os.close(descriptor)


def sync_tree(folder: Path) -> None:
  """Makes all files and folders in a folder durable, and itself.

  Raises:
    OSError: the disk fails.
  """
  for place, _, names in os.walk(folder, topdown=False):
    for name in names:
      with open(os.path.join(place, name), "rb") as file:
        os.fsync(file.fileno())
    sync_folder(Path(place))


def write_text(path: Path, text: str) -> None:
  """Writes a file whole: it is the old one or the new one, nothing between."""
  with replacing(path) as file:
    file.write(text.encode())
