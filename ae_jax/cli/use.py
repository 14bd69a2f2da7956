"""Uses a trained model: codes, pictures, search, export.

Every command takes the folder of a run and picks one of its trials: the best,
or the one that --trial, --by and --where name. `./launch.sh COMMAND --help`
shows an example of each. Inputs are never unpickled and never written to.
"""

import argparse
import contextlib
import math
import signal
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from absl import logging
from sklearn.neighbors import NearestNeighbors
from tqdm import tqdm

from ae_jax import density, export, over_seeds
from ae_jax.cli import array_files, pictures, start, use_flags
from ae_jax.compression import file as aej
from ae_jax.data import are_images
from ae_jax.metrics.columns import HELD_OUT
from ae_jax.metrics.selection import criterion
from ae_jax.run_folder import load, results
from ae_jax.trained import Trained
from ae_jax.types import UsageError

_NUM_PICTURED = 64  # pairs, or queries
_MAX_PICTURED = 1024  # single images
_MAX_FOUND_PICTURED = 20
_PAIRS_A_ROW = 16
_BLOCK = 1024  # queries at a time
_BOUNDS = [f"{part}_negative_elbo_nats" for part in HELD_OUT]


def main(argv: Sequence[str]) -> None:
  """Runs the program; exits with 2 and one line at a mistake of the user."""
  logging.set_verbosity(logging.WARNING)  # Orbax reports each step of a load
  try:
    arguments = use_flags.parse(argv)
    _COMMANDS[arguments.command](arguments)
  except UsageError as error:
    print(f"error: {error}", file=sys.stderr)
    sys.exit(2)
  except KeyboardInterrupt:
    print("\ninterrupted: no file was left half-written", file=sys.stderr)
    sys.exit(130)


def encode(arguments: argparse.Namespace) -> None:
  """INPUT [n, *features] -> codes [n, latent]."""
  source, target = arguments.input, arguments.output
  array_files.check_output(target, (".npy",), [source])
  trained = _load(arguments)
  x = array_files.read(source, trained.spec.features)
  shape = (len(x), trained.spec.latent_size)
  _write(target, shape, _naming(source, trained.encode_batches, x))


def decode(arguments: argparse.Namespace) -> None:
  """CODES [n, latent] -> means of the data [n, *features]."""
  source, target = arguments.codes, arguments.output
  array_files.check_output(target, (".npy", ".png"), [source])
  trained = _load(arguments)
  z = array_files.read(source, (trained.spec.latent_size,))
  _write_decoded(target, trained, z, source)


def sample(arguments: argparse.Namespace) -> None:
  """Codes from the prior, or like those of data -> data [num, *features]."""
  inputs = [] if arguments.like is None else [arguments.like]
  array_files.check_output(arguments.output, (".npy", ".png"), inputs)
  trained = _load(arguments)
  if arguments.like is None:
    z = trained.sample_codes(arguments.num, arguments.seed)
  else:
    x = array_files.read(arguments.like, trained.spec.features)
    z = density.sample_codes(trained.encode(x), arguments.num, arguments.seed)
  _write_decoded(arguments.output, trained, z, "samples")


def reconstruct(arguments: argparse.Namespace) -> None:
  """INPUT [n, *features] -> reconstructions of that shape."""
  source, target = arguments.input, arguments.output
  array_files.check_output(target, (".npy", ".png"), [source])
  trained = _load(arguments)
  features = trained.spec.features
  if target.suffix == ".png":
    pictures.check_images(features)
  x = array_files.read(source, features)
  if target.suffix == ".npy":
    batches = _naming(source, trained.reconstruct_batches, x)
    _write(target, (len(x), *features), batches)
    return
  shown = trained.numbers(x[:_NUM_PICTURED])
  again = np.concatenate([*_naming(source, trained.reconstruct_batches, shown)])
  columns = min(_PAIRS_A_ROW, max(len(shown), 1))
  pairs = [pictures.in_rows(images, columns) for images in (shown, again)]
  _draw(
    target,
    np.stack(pairs, axis=1).reshape(-1, columns, *features),
    trained,
    f"{len(shown)} of {len(x)} originals, each above its reconstruction",
  )


def search(arguments: argparse.Namespace) -> None:
  """The GALLERY examples whose codes are nearest to those of QUERIES."""
  folder, k = arguments.folder, arguments.num
  inputs = (arguments.queries, arguments.gallery)
  names = ("indices.npy", "distances.npy", "found.png")
  *targets, picture = (folder / name for name in names)
  if folder.is_dir():
    for target in (*targets, picture):
      array_files.check_output(target, (".npy", ".png"), inputs)
  elif folder.exists():
    raise UsageError(f"cannot write to {folder}: it is no folder")
  trained = _load(arguments)
  features = trained.spec.features
  queries, gallery = (array_files.read(path, features) for path in inputs)
  if k > len(gallery):
    raise UsageError(
      f"--num={k} is more than the {len(gallery)} rows of {arguments.gallery}"
    )
  if len(queries) == 0:
    raise UsageError(f"{arguments.queries} has no rows to search for")
  query_codes, gallery_codes = (
    np.concatenate(
      [*_progress(_naming(path, trained.encode_batches, x), len(x), "encode")]
    )
    for path, x in zip(inputs, (queries, gallery), strict=True)
  )
  distances, indices = _nearest(query_codes, gallery_codes, k)
  try:
    folder.mkdir(parents=True, exist_ok=True)
  except OSError as error:
    raise UsageError(f"cannot make {folder}: {error.strerror}") from error
  for target, values in zip(targets, (indices, distances), strict=True):
    array_files.write(target, values.shape, [values])
    print(f"wrote {target}: {values.dtype} {list(values.shape)}")
  if not are_images(features):
    print(f"no picture: data of shape {features} are no images")
    return
  shown = trained.numbers(queries[:_NUM_PICTURED])
  nearest = indices[:_NUM_PICTURED, :_MAX_FOUND_PICTURED]
  found = trained.numbers(gallery[nearest.ravel()])
  found = found.reshape(*nearest.shape, *features)
  images = np.concatenate([shown[:, None], found], axis=1)
  _draw(
    picture,
    images,
    trained,
    f"{len(shown)} of {len(queries)} queries, each before what was found",
    lead=True,
  )


def export_model(arguments: argparse.Namespace) -> None:
  """StableHLO functions, weights and what describes them, in FOLDER."""
  export.check_folder(arguments.folder)
  for path in export.save(_load(arguments), arguments.folder):
    print(f"wrote {path}: {path.stat().st_size:,} bytes")


def _load(arguments: argparse.Namespace, by: str | None = None) -> Trained:
  by = arguments.by or by
  trained = load.load(
    arguments.run_dir,
    arguments.trial,
    by=by,
    modules=start.own_modules(arguments.modules),
    **arguments.where,
  )
  row = trained.row
  names = ("objective", "latent_size", "seed", criterion([row], by))
  values = (
    f"{name}={row[name]:.4g}"
    if isinstance(row[name], float)
    else f"{name}={row[name]}"
    for name in dict.fromkeys(names)
  )
  print(f"trial {row['id']}: {', '.join(values)}")
  if arguments.label is not None:
    trained = trained.condition(arguments.label)
  trained.check_class()
  return trained


def _write_decoded(
  target: Path, trained: Trained, z: np.ndarray, source: Path | str
) -> None:
  """Decodes to a `.npy` of all, or a picture of the first."""
  features = trained.spec.features
  if target.suffix == ".npy":
    batches = _naming(source, trained.decode_batches, z)
    _write(target, (len(z), *features), batches)
    return
  pictures.check_images(features)
  shown = z[:_MAX_PICTURED]
  x = np.concatenate([*_naming(source, trained.decode_batches, shown)])
  columns = math.ceil(max(len(x), 1) ** 0.5)
  _draw(
    target,
    pictures.in_rows(x, columns),
    trained,
    f"{len(x)} of {len(z)} images",
  )


def _nearest(
  queries: np.ndarray, gallery: np.ndarray, k: int
) -> tuple[np.ndarray, np.ndarray]:
  """Exact nearest neighbors: distances and indices `[num_queries, k]`."""
  finder = NearestNeighbors(n_neighbors=k, algorithm="brute").fit(gallery)
  blocks = (
    queries[start : start + _BLOCK] for start in range(0, len(queries), _BLOCK)
  )
  found = [
    finder.kneighbors(block)
    for block in _progress(blocks, len(queries), "search")
  ]
  distances, indices = map(np.concatenate, zip(*found, strict=True))
  return distances, indices


def _naming(
  source: Path | str,
  function: Callable[[np.ndarray], Iterator[np.ndarray]],
  x: np.ndarray,
) -> Iterator[np.ndarray]:
  """The batches that a function gives; its errors say whose they are."""
  try:
    yield from function(x)
  except UsageError as error:
    raise UsageError(f"{source}: {error}") from error


def _progress(
  batches: Iterable[np.ndarray], num_rows: int, what: str
) -> Iterator[np.ndarray]:
  with _bar(num_rows, what) as bar:
    for batch in batches:
      yield batch
      bar.update(len(batch))


def _bar(num_rows: int, what: str) -> tqdm:
  """Shows the time left over what takes more than a few seconds."""
  terminal = sys.stderr.isatty()
  return tqdm(
    total=num_rows,
    desc=what,
    unit=" rows",
    unit_scale=True,
    delay=2,
    mininterval=0.2 if terminal else 5.0,
    bar_format="{desc}  {percentage:3.0f}%|{bar:20}| {rate_fmt}, {remaining}"
    + (" left" if terminal else " left\n"),
  )


def _write(
  target: Path, shape: tuple[int, ...], batches: Iterator[np.ndarray]
) -> None:
  array_files.write(target, shape, _progress(batches, shape[0], "rows"))
  print(f"wrote {target}: float32 {list(shape)}")


def _draw(
  target: Path,
  images: np.ndarray,
  trained: Trained,
  what: str,
  **layout: Any,
) -> None:
  if images.size == 0:
    raise UsageError(f"there is nothing to draw in {target}: no rows")
  low, high = pictures.gray_range(*trained.data_range)
  pictures.write(target, pictures.tile(images, low, high, **layout))
  print(f"wrote {target}: {what}; {pictures.say_range(low, high)}")


def compress(arguments: argparse.Namespace) -> None:
  """INPUT [n, *features] of 0 and another value, or bytes -> a smaller file."""
  source, target = arguments.input, arguments.output
  array_files.check_output(target, (".aej",), [source])
  rows = results.read_rows(Path(arguments.run_dir))
  names = over_seeds.columns(rows.values())
  # An example takes about its bound, compressed.
  by = next((name for name in _BOUNDS if name in names), None)
  trained = _load(arguments, by)
  x = array_files.read(source, trained.spec.features)
  with _bar(len(x), "compress") as bar, _written(target):
    size = aej.compress(trained, x, target, bar.update)
  print(f"wrote {target}: {size:,} bytes, {8 * size / x.size:.4f} bits/dim")


def decompress(arguments: argparse.Namespace) -> None:
  """A file of `compress` -> the array that it was made of."""
  source, target = arguments.input, arguments.output
  array_files.check_output(target, (".npy",), [source])
  with _written(source):
    header = aej.read_header(source)
  if arguments.trial == "best" and not (arguments.by or arguments.where):
    arguments.trial = header["trial"]
  trained = _load(arguments)
  with _bar(header["shape"][0], "decompress") as bar, _written(target):
    aej.decompress(trained, source, target, bar.update)
  x = np.load(target, mmap_mode="r")
  print(f"wrote {target}: {x.dtype} {list(x.shape)}")


@contextlib.contextmanager
def _written(target: Path) -> Iterator[None]:
  try:
    yield
  except OSError as error:
    path = error.filename or target
    raise UsageError(f"cannot use {path}: {error.strerror}") from error


_COMMANDS = {
  "encode": encode,
  "decode": decode,
  "reconstruct": reconstruct,
  "sample": sample,
  "search": search,
  "export": export_model,
  "compress": compress,
  "decompress": decompress,
}


def _terminated(number: int, frame: Any) -> NoReturn:
  del frame
  print("\nterminated: no file was left half-written", file=sys.stderr)
  sys.exit(128 + number)


if __name__ == "__main__":
  signal.signal(signal.SIGTERM, _terminated)
  start.without_current_folder()
  main(sys.argv)
