"""Arrays of bits or bytes as `.aej` files."""

import hashlib
import importlib.metadata
import json
import math
import os
import platform
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import jax
import numpy as np

from ae_jax.atomic import replacing
from ae_jax.compression import bits_back, layout
from ae_jax.extras import require
from ae_jax.trained import Trained
from ae_jax.types import UsageError

_BLOCK = 1 << 16  # examples in memory at once, at most
_MAX_VALUES = 1 << 25  # numbers of them, at most
_MIN = 512  # examples of a chain, which pay for its first bits
_MAX_PARAMETERS = 1 << 25  # of the likelihood of an example of each chain
_MIN_BYTES = 8  # of a chain, its length included


def compress(
  trained: Trained,
  x: np.ndarray,
  target: str | os.PathLike[str],
  on_examples: bits_back.OnExamples = lambda number: None,
) -> int:
  """Writes an array as a file that `decompress` gives back bit for bit.

  Args:
    trained: a VAE with the output "bernoulli" or "logistic_mixture".
    x: `[n, *features]`, perhaps memory-mapped. Of a Bernoulli: of any type,
      only 0 and one greater value that stands for 1. Of logistics: bytes, or
      integers of 0 ... 255, or floats that are such integers / 255.
    target: the file.
    on_examples: called with the number of examples coded since the last call.

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
  if x.dtype.str not in layout.DTYPES:
    raise UsageError(f"data of type {x.dtype} cannot be compressed")
  header, values = _describe(trained, x)
  text = json.dumps(header).encode()
  with replacing(Path(target)) as file:
    sha256 = hashlib.sha256()

    def write(content: bytes) -> None:
      sha256.update(content)
      file.write(content)

    write(layout.MAGIC + struct.pack("<I", len(text)) + text)
    coder = _coder(trained, header["chains"])
    digest = _write_blocks(write, coder, x, values, on_examples)
    if digest != header["data"]:
      raise UsageError("the data were changed while they were compressed")
    file.write(sha256.digest())
    return file.tell()


def _describe(
  trained: Trained, x: np.ndarray
) -> tuple[dict[str, Any], np.ndarray]:
  """The header of a file of x, and the value of each symbol."""
  num_symbols = bits_back.NUM_SYMBOLS[trained.spec.likelihood]
  each = math.prod(trained.spec.features) * num_symbols
  num_chains = min(layout.MAX_CHAINS, len(x) // _MIN, _MAX_PARAMETERS // each)
  most = _last_value(x, num_symbols)
  values = _values(most, num_symbols, x.dtype)
  return {
    "shape": x.shape,
    "dtype": x.dtype.str,
    "most": most,
    "chains": max(1, num_chains),
    "data": _checked(x, values),
    "model": model_digest(trained),
    "trial": trained.row["id"],
    "made_by": _software(),
  }, values


def _write_blocks(
  write: Callable[[bytes], None],
  coder: bits_back.Coder,
  x: np.ndarray,
  values: np.ndarray,
  on_examples: bits_back.OnExamples,
) -> str:
  """Writes all examples; returns the SHA-256 of what was read of x."""
  sha256 = hashlib.sha256()
  for block in _blocks(x):
    words = bits_back.encode(coder, _symbols(block, values), on_examples)
    write(struct.pack(f"<{coder.num_chains}I", *map(len, words)))
    write(b"".join(w.astype("<u4").tobytes() for w in words))
    sha256.update(np.ascontiguousarray(block).data)
  return sha256.hexdigest()


def decompress(
  trained: Trained,
  source: str | os.PathLike[str],
  target: str | os.PathLike[str],
  on_examples: bits_back.OnExamples = lambda number: None,
) -> None:
  """Writes the array of a file as `.npy`.

  Args:
    trained: the model that it was made with.
    source: the file.
    target: the `.npy`.
    on_examples: called with the number of examples decoded since the last call.

  Raises:
    UsageError: the file is damaged or of another model, or this machine does
      not decode it to what was encoded; then nothing is written.
    OSError: a file cannot be read or written.
  """
  check(trained)
  source = Path(source)
  with source.open("rb") as file:
    header, end = layout.read_header(file, source)
    if header["model"] != model_digest(trained):
      raise UsageError(
        f"{source} was made with another model than trial {trained.row['id']}:"
        f" with trial {header['trial'][:40]!r} of its run"
      )
    shape = tuple(header["shape"])
    num_blocks = -(-shape[0] // _block_size(shape[1:]))
    least = num_blocks * header["chains"] * _MIN_BYTES
    if shape[1:] != trained.spec.features or least > end - file.tell():
      raise UsageError(f"{source} is no file of this program: its shape")
    sha256 = hashlib.sha256()
    with replacing(Path(target)) as output:
      np.lib.format.write_array_header_1_0(
        output,
        {"descr": header["dtype"], "fortran_order": False, "shape": shape},
      )
      blocks = _decoded_blocks(trained, file, header, end, source, on_examples)
      for block in blocks:
        sha256.update(block.data)
        output.write(block.data)
      if sha256.hexdigest() != header["data"]:
        raise _differs(header, source)


def _decoded_blocks(
  trained: Trained,
  file: BinaryIO,
  header: dict[str, Any],
  end: int,
  source: Path,
  on_examples: bits_back.OnExamples,
) -> Iterator[np.ndarray]:
  num, *features = header["shape"]
  num_symbols = bits_back.NUM_SYMBOLS[trained.spec.likelihood]
  values = _values(header["most"], num_symbols, np.dtype(header["dtype"]))
  coder = _coder(trained, header["chains"])
  size = _block_size(tuple(features))
  for start in range(0, num, size):
    part = (min(size, num - start), *features)
    words = layout.read_words(file, coder.num_chains, end, source)
    try:
      yield values[bits_back.decode(coder, words, part, on_examples)]
    except bits_back.DiffersError as error:
      raise _differs(header, source) from error
    except ValueError as error:
      raise UsageError(
        f"{source} is no file of this program: {error}"
      ) from error


def _differs(header: dict[str, Any], source: Path) -> UsageError:
  return UsageError(
    f"{source} does not come out as it went in: it was made by"
    f" {header['made_by'][:200]!r}, and this is {_software()!r}"
  )


def read_header(source: str | os.PathLike[str]) -> dict[str, Any]:
  """Reads the header of a file: `shape`, `dtype`, `model`, `made_by`, ...

  Raises:
    UsageError: the file is damaged.
    OSError: it cannot be read.
  """
  source = Path(source)
  with source.open("rb") as file:
    return layout.read_header(file, source)[0]


def check(trained: Trained) -> None:
  """Raises UsageError unless a model can compress data without loss."""
  require("compression", "constriction")
  trained.check_class()
  spec = trained.spec
  if spec.code != "gaussian" or spec.likelihood not in bits_back.NUM_SYMBOLS:
    raise UsageError(
      "compression needs a VAE with output"
      f" {' or '.join(bits_back.NUM_SYMBOLS)}; trial {trained.row['id']} has"
      f" code {spec.code} and output {spec.likelihood}"
    )
  if spec.declaration.prior is not None:
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
        " Bernoulli; binarize them, or take likelihood=logistic_mixture for"
        " bytes"
        if len(values) == 2
        else "only bytes can be compressed: integers of 0 ... 255, or floats"
        " that are such integers / 255"
      )
    sha256.update(content.data)
  return sha256.hexdigest()
