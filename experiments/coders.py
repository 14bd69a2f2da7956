"""What lossless coders make of the MNIST test set, in bits/dim.

./launch.sh coders [--workdir=DIR] [--config.FIELD=VALUE ...]

  --workdir  of the two runs and of coders.md; default: runs/coders
  --config.  as in a sweep, for both runs: --config.data.download_dir=DIR, or
             --config.data.path=FILE.npy for bytes of one's own (then another
             --workdir too)

Trains the VAEs of mnist_bits.py and mnist_bytes.py, or takes those that are
there; writes the test set with them and with gzip, bz2, lzma (as one string,
eight bits to a byte) and PNG (a file an image); reads it back and compares. The
models themselves, 3 and 17 MB, are not counted.
"""

import bz2
import gzip
import io
import lzma
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from absl import flags
from PIL import Image

from ae_jax.atomic import write_text
from ae_jax.cli import start, sweep
from ae_jax.compression import file as aej
from ae_jax.data import are_images
from ae_jax.run_folder.dataset import dataset_of
from ae_jax.run_folder.load import load
from ae_jax.types import UsageError
from experiments.benchmarks.table import markdown
from experiments.sweep import CONFIGS as CONFIG_FOLDER

CONFIGS = {"binarized": "mnist_bits.py", "bytes": "mnist_bytes.py"}

# bytes -> bytes and back, at the highest level of each.
STRING_CODERS: dict[str, tuple[Callable[[bytes], bytes], Callable]] = {
  "gzip": (gzip.compress, gzip.decompress),
  "bz2": (bz2.compress, bz2.decompress),
  "lzma": (
    lambda x: lzma.compress(x, preset=9 | lzma.PRESET_EXTREME),
    lzma.decompress,
  ),
}


def main(argv: Sequence[str]) -> None:
  """Runs the program; exits with 2 and one line at a mistake of the user."""
  workdir, arguments = start.checked(_parse, argv, __doc__)
  folders = {
    name: workdir / Path(config).stem for name, config in CONFIGS.items()
  }
  for name, folder in folders.items():
    own = [f"--config={CONFIGS[name]}", f"--workdir={folder}"]
    sweep.main([argv[0], *own, *arguments], CONFIG_FOLDER)

  def rows(argv: Sequence[str]) -> list[dict[str, Any]]:
    del argv
    return [row for item in folders.items() for row in table(*item)]

  text = markdown(start.checked(rows, argv, __doc__))
  write_text(workdir / "coders.md", text + "\n")
  print(f"\n{text}\n\nwrote {workdir / 'coders.md'}")


def table(name: str, folder: Path) -> list[dict[str, Any]]:
  """A row for each coder; raises RuntimeError if one does not give x back.

  Raises:
    UsageError: the run or its dataset is not there.
  """
  x = dataset_of(folder).test
  rows = [
    {"data": name, "coder": coder, "bits/dim": _bits(size, x)}
    for coder, size in standard_sizes(x).items()
  ]
  bound = "negative_elbo_bits_per_dim"
  trained = load(folder, by=f"validation_{bound}")
  packed, unpacked = folder / "test.aej", folder / "test.npy"
  begin = time.perf_counter()
  size = aej.compress(trained, x, packed)
  between = time.perf_counter()
  aej.decompress(trained, packed, unpacked)
  end = time.perf_counter()
  _check_equal("ours", np.load(unpacked), x)
  unpacked.unlink()
  ours = {
    "data": name,
    "coder": f"ae_jax, trial {trained.row['id']}",
    "bits/dim": _bits(size, x),
    "its -ELBO": f"{trained.row[f'test_{bound}']:.4f}",
    "images/s_in": len(x) / (between - begin),
    "images/s_out": len(x) / (end - between),
  }
  return [*rows, ours]


def standard_sizes(x: np.ndarray) -> dict[str, int]:
  """Bytes that each standard coder makes of all examples.

  Args:
    x: `[n, *features]`, uint8; where there is nothing but 0 and 255, eight
      examples' features become a byte.

  Raises:
    UsageError: x are no bytes.
  """
  if x.dtype != np.uint8:
    raise UsageError(f"the coders are for bytes; these data are {x.dtype}")
  binary = not np.any((x > 0) & (x < 255))
  string = (np.packbits(x > 0) if binary else x).tobytes()
  sizes = {}
  for coder, (compress, decompress) in STRING_CODERS.items():
    packed = compress(string)
    _check_equal(coder, decompress(packed), string)
    sizes[coder] = len(packed)
  if are_images(x.shape[1:]):
    sizes["PNG, an image a file"] = sum(_png_size(i, binary) for i in x)
  return sizes


def _bits(size: int, x: np.ndarray) -> str:
  return f"{8 * size / x.size:.4f}"


def _png_size(image: np.ndarray, binary: bool) -> int:
  gray = image.ndim == 2 or image.shape[2] == 1
  picture = Image.fromarray(image.reshape(image.shape[:2]) if gray else image)
  if binary:
    picture = picture.convert("1")
  file = io.BytesIO()
  picture.save(file, "PNG", optimize=True)
  size = file.tell()
  again = np.asarray(Image.open(file).convert("L" if gray else "RGB"))
  _check_equal("PNG", again.reshape(image.shape), image)
  return size


def _check_equal(coder: str, again: Any, x: Any) -> None:
  if not np.array_equal(again, x):
    raise RuntimeError(f"{coder} does not give back what it was given")


def _parse(argv: Sequence[str]) -> tuple[Path, list[str]]:
  values = flags.FlagValues()
  flags.DEFINE_string("workdir", "runs/coders", "", values)
  try:
    arguments = values(argv, known_only=True)[1:]
  except flags.Error as error:
    raise UsageError(" ".join(str(error).split())) from error
  others = [a for a in arguments if not a.startswith("--config.")]
  if others:
    raise UsageError(
      f"unknown argument {others[0]!r}; allowed: --workdir, --config.FIELD"
    )
  return start.absolute(values.workdir), arguments


if __name__ == "__main__":
  start.run(main)
