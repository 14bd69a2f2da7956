"""Files that are there whole or not at all, and what tells that one is not."""

import contextlib
import errno
import io
import lzma
import os
import re
import secrets
import stat
import tokenize
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, TextIO

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

_PARTIAL = re.compile(r"\..+\.[0-9a-f]{16}\.partial", re.DOTALL)


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
  """Opens a file that takes the place of `path` when the block ends.

  A block that raises leaves `path` as it was; so does a process that is killed.
  When it has ended, power may fail.

  Nor is anything written through a link that stands in its folder.

  Args:
    path: in a folder that exists.

  Raises:
    OSError: the file cannot be written.
  """
  partial = partial_of(path)
  descriptor = os.open(
    partial, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW, 0o666
  )
  try:
    with os.fdopen(descriptor, "wb") as file:
      yield file
      file.flush()
      os.fsync(file.fileno())
    partial.replace(path)
  except BaseException:
    partial.unlink(missing_ok=True)
    raise
  sync_folder(path.parent)


def check_regular(path: str | os.PathLike[str]) -> None:
  """Checks that a path is of a file that ends, before it is opened.

  Raises:
    OSError: it is absent, a folder, a pipe, a device or a socket.
  """
  mode = os.stat(path).st_mode
  if stat.S_ISDIR(mode):
    raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
  if not stat.S_ISREG(mode):
    raise OSError(errno.EINVAL, "It is no regular file", path)


def open_regular(path: Path) -> io.BufferedReader:
  """Opens a file to be read that ends; see `check_regular`."""
  check_regular(path)
  return path.open("rb")


def read_text(path: Path, errors: str = "strict") -> str:
  """The text of a file that ends.

  Args:
    path: of the file.
    errors: what to do at bytes that are no UTF-8, as `bytes.decode`.

  Raises:
    OSError: see `check_regular`.
    UnicodeDecodeError: it is no UTF-8.
  """
  with io.TextIOWrapper(open_regular(path), "utf-8", errors) as file:
    return file.read()


def partial_of(path: Path) -> Path:
  """A new name beside `path` for what is to take its place."""
  return path.with_name(f".{path.name}.{secrets.token_hex(8)}.partial")


def is_partial(name: str) -> bool:
  """Whether a name is one of `partial_of`."""
  return _PARTIAL.fullmatch(name) is not None


def remove_partials(folder: Path) -> None:
  """Removes the files that killed processes left half-written in a folder."""
  for path in folder.glob(".*.partial"):
    if is_partial(path.name) and stat.S_ISREG(path.lstat().st_mode):
      path.unlink()


def open_lock(path: Path) -> TextIO:
  """Opens a file to be locked, which is made where it is not there.

  Raises:
    OSError: it cannot be opened, is a symbolic link, or no regular file.
  """
  with contextlib.suppress(FileNotFoundError):
    check_regular(path)
  flags = os.O_CREAT | os.O_RDWR | os.O_APPEND | os.O_NOFOLLOW
  return os.fdopen(os.open(path, flags, 0o666), "a+", encoding="utf-8")


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
