"""Arrays of bits or bytes <-> `.aej` files.

A file is `AEJAX1`, the length of a JSON header and the header; for each block
of examples the number of words of each chain and these words; and the SHA-256
of all of that. Numbers are little-endian uint32.
"""

import hashlib
import importlib.metadata
import json
import math
import os
import platform
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import jax
import numpy as np

from ae_jax.atomic import DAMAGED, replacing
from ae_jax.compression import bits_back
from ae_jax.trained import Trained
from ae_jax.types import UsageError

_MAGIC = b"AEJAX1"
_DIGEST = hashlib.sha256().digest_size
_BLOCK = 1 << 16  # examples that are held at once, and
_MAX_VALUES = 1 << 25  # values of theirs
_MAX_CHAINS = 64
_MIN = 512  # examples of a chain, which pay for its first bits
_MAX_PARAMETERS = 1 << 25  # of the likelihood of an example of each chain
_MAX_HEADER = 1 << 16  # bytes
_READ = 1 << 20  # bytes at a time
_MIN_BYTES = 8  # of a chain, its length included

# All plain numbers that are no longer than a float64.
_DTYPES = {
  np.dtype(order + kind).str for kind in "?bBhHiIlLqQefd" for order in "<>"
}


def compress(
  trained: Trained,
  x: np.ndarray,
  target: Path,
  on_examples: bits_back.OnExamples = lambda number: None,
) -> int:
  """Writes an array as a file that `decompress` gives back bit for bit.

  Args:
    trained: a VAE with the output "bernoulli" or "logistic_mixture".
    x: `[n, *features]`, perhaps memory-mapped. Of a Bernoulli: of any type,
      only 0 and one greater value that stands for 1. Of logistics: bytes, or
      integers of 0 ... 255, or floats that are such integers / 255.
    target: the file.
    on_examples: called with the number of examples that have been coded.

  Returns:
    The size of the file in bytes.

  Raises:
    UsageError: the model or the array cannot be coded.
    OSError: the file cannot be written.

  References:
    Townsend et al., "Practical Lossless Compression with Latent Variables using
    Bits Back Coding", 2019.
  """
  check(trained)
  if x.shape[1:] != trained.spec.features:
    raise UsageError(
      f"examples have shape {x.shape[1:]}; the model was trained on"
      f" {trained.spec.features}"
    )
  if x.dtype.str not in _DTYPES:
    raise UsageError(f"data of type {x.dtype} cannot be compressed")
  num_symbols, _ = bits_back.SYMBOLS[trained.spec.likelihood]
  each = math.prod(trained.spec.features) * num_symbols
  num_chains = min(_MAX_CHAINS, len(x) // _MIN, _MAX_PARAMETERS // each)
  num_chains = max(1, num_chains)
  most = _last_value(x, num_symbols)
  values = _values(most, num_symbols, x.dtype)
  digest = _checked(x, values)
  header = {
    "shape": x.shape,
    "dtype": x.dtype.str,
    "most": most,
    "chains": num_chains,
    "data": digest,
    "model": model_digest(trained),
    "trial": trained.row["id"],
    "made_by": _software(),
  }
  text = json.dumps(header).encode()
  coder = _coder(trained, num_chains)
  with replacing(target) as file:
    sha256, seen = hashlib.sha256(), hashlib.sha256()

    def write(content: bytes) -> None:
      sha256.update(content)
      file.write(content)

    write(_MAGIC + struct.pack("<I", len(text)) + text)
    for block in _blocks(x):
      symbols = _symbols(block, values)
      words = bits_back.encode(coder, symbols, on_examples)
      write(struct.pack(f"<{num_chains}I", *map(len, words)))
      write(b"".join(w.astype("<u4").tobytes() for w in words))
      seen.update(np.ascontiguousarray(block).data)
    if seen.hexdigest() != digest:
      raise UsageError("the data were changed while they were compressed")
    file.write(sha256.digest())
    return file.tell()


def decompress(
  trained: Trained,
  source: Path,
  target: Path,
  on_examples: bits_back.OnExamples = lambda number: None,
) -> None:
  """Writes the array of a file as `.npy`.

  Args:
    trained: the model that it was made with.
    source: the file.
    target: the `.npy`.
    on_examples: called with the number of examples that have been decoded.

  Raises:
    UsageError: the file is damaged, of another model, or comes out otherwise
      here than where it was made; nothing is written then.
    OSError: a file cannot be read or written.
  """
  check(trained)
  with source.open("rb") as file:
    header, end = _header(file, source)
    if header["model"] != model_digest(trained):
      raise UsageError(
        f"{source} was made with another model than trial {trained.row['id']}:"
        f" with trial {header['trial'][:40]!r} of its run"
      )
    shape, num_chains = tuple(header["shape"]), header["chains"]
    num_symbols, _ = bits_back.SYMBOLS[trained.spec.likelihood]
    values = _values(header["most"], num_symbols, np.dtype(header["dtype"]))
    size = _block_size(shape[1:])
    num_blocks = -(-shape[0] // size)
    least = num_blocks * num_chains * _MIN_BYTES
    if shape[1:] != trained.spec.features or least > end - file.tell():
      raise UsageError(f"{source} is no file of this program: its shape")
    coder = _coder(trained, num_chains)
    differs = UsageError(
      f"{source} does not come out as it went in: it was made by"
      f" {header['made_by'][:200]!r}, and this is {_software()!r}"
    )
    sha256 = hashlib.sha256()
    with replacing(target) as output:
      np.lib.format.write_array_header_1_0(
        output,
        {"descr": header["dtype"], "fortran_order": False, "shape": shape},
      )
      for start in range(0, shape[0], size):
        part = (min(size, shape[0] - start), *shape[1:])
        words = _words(file, num_chains, end, source)
        try:
          block = values[bits_back.decode(coder, words, part, on_examples)]
        except bits_back.DiffersError as error:
          raise differs from error
        except ValueError as error:
          raise UsageError(
            f"{source} is no file of this program: {error}"
          ) from error
        sha256.update(block.data)
        output.write(block.data)
      if sha256.hexdigest() != header["data"]:
        raise differs


def read_header(source: Path) -> dict[str, Any]:
  """What a file says of itself: `shape`, `dtype`, `model`, `made_by`, ...

  Raises:
    UsageError: the file is damaged.
    OSError: it cannot be read.
  """
  with source.open("rb") as file:
    return _header(file, source)[0]


def check(trained: Trained) -> None:
  """Raises UsageError unless a model can code data without loss."""
  spec = trained.spec
  if spec.code != "gaussian" or spec.likelihood not in bits_back.SYMBOLS:
    raise UsageError(
      f"compression needs a VAE with output {' or '.join(bits_back.SYMBOLS)};"
      " trial"
      f" {trained.row['id']} has code {spec.code} and output {spec.likelihood}"
    )
  if "pseudo_inputs" in trained.params.get("objective", {}):
    raise UsageError("compression needs the prior N(0, I), not one of its own")
  if trained.standardization is not None:
    raise UsageError("compression needs a model of data as they are")


def model_digest(trained: Trained) -> str:
  """SHA-256 of a network and its parameters, in hex."""
  sha256 = hashlib.sha256(repr(trained.spec).encode())
  for path, leaf in jax.tree_util.tree_leaves_with_path(trained.params):
    sha256.update(f"{path} {leaf.shape} {leaf.dtype}".encode())
    sha256.update(np.asarray(leaf).tobytes())
  return sha256.hexdigest()


def _coder(trained: Trained, num_chains: int) -> bits_back.Coder:
  params = jax.device_put(trained.params, jax.devices("cpu")[0])
  return bits_back.Coder(trained.spec, params, num_chains)


def _software() -> str:
  versions = (
    f"{name} {importlib.metadata.version(name)}"
    for name in ("jaxlib", "constriction")
  )
  return ", ".join((*versions, f"{platform.machine()} {platform.system()}"))


def _block_size(features: tuple[int, ...]) -> int:
  return max(1, min(_BLOCK, _MAX_VALUES // math.prod(features)))


def _blocks(x: np.ndarray) -> Iterator[np.ndarray]:
  size = _block_size(x.shape[1:])
  return (x[start : start + size] for start in range(0, len(x), size))


def _last_value(x: np.ndarray, num_symbols: int) -> float:
  """The value of the last symbol."""
  if x.size == 0:
    raise UsageError(f"there is nothing to compress: shape {x.shape}")
  if num_symbols > 2:
    return 1.0 if x.dtype.kind == "f" else num_symbols - 1.0
  most = float(max(block.max() for block in _blocks(x)))
  return most if np.isfinite(most) and most else 1.0


def _values(most: float, num_symbols: int, dtype: np.dtype) -> np.ndarray:
  """The value of each symbol, from 0 to `most`."""
  with np.errstate(invalid="ignore", over="ignore"):  # of an altered file
    return (np.arange(num_symbols) * most / (num_symbols - 1)).astype(dtype)


def _symbols(x: np.ndarray, values: np.ndarray) -> np.ndarray:
  """The symbols, uint8, whose values are those of x, where there are any."""
  if len(values) == 2:
    return (x != 0).astype(np.uint8)
  if x.dtype.kind != "f":
    return x.astype(np.uint8)
  with np.errstate(invalid="ignore"):  # NaN is no value
    levels = np.clip(x, 0, 1, dtype=np.float32) * np.float32(len(values) - 1)
    return np.rint(levels).astype(np.uint8)


def _checked(x: np.ndarray, values: np.ndarray) -> str:
  """The SHA-256 of the array; raises UsageError if symbols cannot give it."""
  sha256 = hashlib.sha256()
  for block in _blocks(x):
    content = np.ascontiguousarray(block)
    again = values[_symbols(content, values)]
    if again.tobytes() != content.tobytes():
      raise UsageError(
        "only data of two values, 0 and a greater one, can be compressed by a"
        " Bernoulli; binarize them, or take likelihood=logistic_mixture for bytes"
        if len(values) == 2
        else "only bytes can be compressed: integers of 0 ... 255, or floats"
        " that are such integers / 255"
      )
    sha256.update(content.data)
  return sha256.hexdigest()


def _header(file: BinaryIO, source: Path) -> tuple[dict[str, Any], int]:
  """The header, and where the blocks end; the whole file is checked."""
  size = os.fstat(file.fileno()).st_size
  start = file.read(len(_MAGIC) + 4)
  if not start.startswith(_MAGIC) or len(start) < len(_MAGIC) + 4:
    raise UsageError(f"{source} is no .aej file of this version")
  end = size - _DIGEST
  sha256, left = hashlib.sha256(start), end - len(start)
  while left > 0 and (content := file.read(min(left, _READ))):
    sha256.update(content)
    left -= len(content)
  if left or file.read() != sha256.digest():
    raise UsageError(f"{source} is damaged: it was cut or altered")
  file.seek(len(start))
  (length,) = struct.unpack("<I", start[len(_MAGIC) :])
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
  if chains > _MAX_CHAINS or math.prod(shape) >= 1 << 48:
    raise ValueError("shape or number of chains")
  if header["dtype"] not in _DTYPES:
    raise ValueError("type")
  most = header["most"]
  if type(most) is not float or not np.isfinite(most) or not most:
    raise ValueError("greatest value")
  return header


def _words(
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
