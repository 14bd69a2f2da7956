"""The layout of `.aej` files, and how one that may be altered is read.

A file is `AEJAX1`, the length of a JSON header and the header; for each block
of examples the number of words of each chain and these words; and the SHA-256
of all of that. Numbers are little-endian uint32.
"""

import hashlib
import json
import math
import os
import struct
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from ae_jax.atomic import DAMAGED
from ae_jax.types import UsageError

MAGIC = b"AEJAX1"
DIGEST = hashlib.sha256().digest_size
MAX_CHAINS = 64
_MAX_HEADER = 1 << 16  # bytes
_READ = 1 << 20  # bytes at a time

# All plain numbers that are no longer than a float64.
DTYPES = {
  np.dtype(order + kind).str for kind in "?bBhHiIlLqQefd" for order in "<>"
}


def read_header(file: BinaryIO, source: Path) -> tuple[dict[str, Any], int]:
  """The header, and where the blocks end; the whole file is checked."""
  size = os.fstat(file.fileno()).st_size
  start = file.read(len(MAGIC) + 4)
  if not start.startswith(MAGIC) or len(start) < len(MAGIC) + 4:
    raise UsageError(f"{source} is no .aej file of this version")
  end = size - DIGEST
  sha256, left = hashlib.sha256(start), end - len(start)
  while left > 0 and (content := file.read(min(left, _READ))):
    sha256.update(content)
    left -= len(content)
  if left or file.read() != sha256.digest():
    raise UsageError(f"{source} is damaged: it was cut or altered")
  file.seek(len(start))
  (length,) = struct.unpack("<I", start[len(MAGIC) :])
  try:
    if length > min(_MAX_HEADER, end - len(start)):
      raise ValueError("its header is too long")
    header = _valid(json.loads(file.read(length)))
  except (KeyError, *DAMAGED) as error:
    reason = str(error)[:200]
    raise UsageError(
      f"{source} is no file of this program: {reason!r}"
    ) from error
  return header, end


def _valid(header: dict[str, Any]) -> dict[str, Any]:
  """The header; raises ValueError, TypeError or KeyError if it is none."""
  for name in ("data", "model", "trial", "made_by", "dtype"):
    if type(header[name]) is not str:
      raise TypeError(name)
  shape, chains = header["shape"], header["chains"]
  numbers = [*shape, chains]
  if not all(type(n) is int and n > 0 for n in numbers) or not shape:
    raise ValueError("shape or number of chains")
  if chains > MAX_CHAINS or math.prod(shape) >= 1 << 48:
    raise ValueError("shape or number of chains")
  if header["dtype"] not in DTYPES:
    raise ValueError("type")
  most = header["most"]
  if type(most) is not float or not np.isfinite(most) or not most:
    raise ValueError("greatest value")
  return header


def read_words(
  file: BinaryIO, num_chains: int, end: int, source: Path
) -> list[np.ndarray]:
  """The words of the next block."""
  lengths = struct.unpack(
    f"<{num_chains}I", _read(file, 4 * num_chains, source)
  )
  if 4 * sum(lengths) > end - file.tell():
    raise UsageError(f"{source} is no file of this program: it ends too early")
  return [
    np.frombuffer(_read(file, 4 * n, source), "<u4").astype(np.uint32)
    for n in lengths
  ]


def _read(file: BinaryIO, number: int, source: Path) -> bytes:
  content = file.read(number)
  if len(content) < number:
    raise UsageError(f"{source} is no file of this program: it ends too early")
  return content
