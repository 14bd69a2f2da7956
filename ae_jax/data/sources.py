"""The name of a dataset, or a user's files -> `Dataset`."""

import functools
import os
import pathlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import psutil  # type: ignore[import-untyped]

from ae_jax.data import files, own, shapes
from ae_jax.data.arrays import from_arrays
from ae_jax.data.dataset import Dataset, binarized
from ae_jax.data.on_disk import from_file
from ae_jax.types import UsageError

_Path = str | os.PathLike[str]

_PATHS = (
  "path",
  "labels_path",
  "test_path",
  "test_labels_path",
  "validation_path",
  "validation_labels_path",
  "download_dir",
  "data_dir",
)


def load(
  *,
  name: str = "digits",
  path: _Path | None = None,
  labels_path: _Path | None = None,
  test_path: _Path | None = None,
  test_labels_path: _Path | None = None,
  validation_path: _Path | None = None,
  validation_labels_path: _Path | None = None,
  download_dir: _Path | None = None,
  data_dir: _Path | None = None,
  test_fraction: float = 0.2,
  validation_fraction: float = 0.1,
  seed: int = 0,
  standardize: bool = False,
  binarize: bool = False,
  dequantize: bool = False,
  stream: bool = False,
  anomaly_classes: Sequence[Any] = (),
  missing: bool = False,
  prepare: bool = True,
  function: Callable[[], Any] | None = None,
) -> Dataset:
  """Loads a user's files, or else a dataset by its name.

  Args:
    name: `digits`; `shapes[/3x3x8x8x8]`, see `shapes.read`;
      `module:function` of a user, see `own.read`; or `name[/config][:version]`
      as in TFDS's catalog; ignored if `path` is given.
    path: `.npy`, or `.npz`, see `files.read`.
    labels_path: `.npy` with the labels of `path`.
    test_path: `.npy` or `.npz` with the test set.
    test_labels_path: `.npy` with the labels of `test_path`.
    validation_path: `.npy` or `.npz` with the validation set.
    validation_labels_path: `.npy` with the labels of `validation_path`.
    download_dir: a TFDS download cache that holds the dataset's files already;
      None downloads them.
    data_dir: where TFDS datasets are prepared, once; None means
      `TFDS_DATA_DIR`, or else `~/tensorflow_datasets`.
    test_fraction: how much of the train set to hold out where there is no
      test set; strictly between 0 and 1.
    validation_fraction: how much of what is left of the train set to hold out
      where there is no validation set; in [0, 1), 0 makes none.
    seed: which examples are held out.
    standardize: gives `(x - mean) / std` per feature, see `from_arrays`.
    binarize: draws binary examples, see `Dataset`.
    dequantize: adds noise to bytes, see `Dataset`.
    stream: trains on data that may be larger than memory, of TFDS or the
      `.npy` of `path`; see `on_disk.from_file`.
    anomaly_classes: labels of which nothing is trained on, see `from_arrays`.
    missing: whether entries may be missing: those that are NaN.
    prepare: False writes and downloads nothing: a dataset of TFDS must be
      prepared already.
    function: of `name`, where the caller has it; nothing is imported then.

  Returns:
    The dataset; its `source` holds these arguments.

  Raises:
    UsageError: at anything that cannot be loaded, in one line.
  """
  source = _source(
    **{k: v for k, v in locals().items() if k not in ("prepare", "function")}
  )
  arrays, name, make = _read(
    name,
    path,
    {
      "labels_path": labels_path,
      "test_path": test_path,
      "test_labels_path": test_labels_path,
      "validation_path": validation_path,
      "validation_labels_path": validation_labels_path,
    },
    (download_dir, data_dir),
    stream,
    prepare,
    function,
  )
  arrays |= _for_arrays(anomaly_classes, missing, stream, binarize)
  dataset = make(
    **arrays,
    name=name,
    test_fraction=test_fraction,
    validation_fraction=validation_fraction,
    seed=seed,
    standardize=standardize,
  )._replace(source=source, dequantize=dequantize)
  if not binarize:
    return dataset
  if standardize:
    raise UsageError("give data.standardize or data.binarize")
  return _binarized(dataset, seed)


def _for_arrays(
  anomaly_classes: Sequence[Any], missing: bool, stream: bool, binarize: bool
) -> dict[str, Any]:
  """The options that only data in memory have, as far as they are given."""
  options: dict[str, Any] = {}
  if len(anomaly_classes):
    if stream:
      raise UsageError("anomaly_classes needs data in memory: drop data.stream")
    options["anomaly_classes"] = anomaly_classes
  if missing:
    if stream or binarize:
      raise UsageError(
        f"give data.missing or data.{'stream' if stream else 'binarize'}"
      )
    options["missing"] = True
  return options


def _binarized(dataset: Dataset, seed: int) -> Dataset:
  """The dataset with a draw of its held-out parts."""
  drawn: dict[str, Any] = {
    name: binarized(part, seed if name == "test" else (seed, 1))
    for name, part in dataset.held_out.items()
  }
  return dataset._replace(binarize=True, **drawn)


def _source(**arguments: Any) -> dict[str, Any]:
  """The arguments of `load` that say which data it is, paths absolute."""
  source = dict(arguments)
  for name in _PATHS:
    if source[name] is not None:
      source[name] = os.path.abspath(os.path.expanduser(source[name]))
  return source | {
    "anomaly_classes": [*map(str, source["anomaly_classes"])],
    "seed": int(source["seed"]),
    "test_fraction": float(source["test_fraction"]),
    "validation_fraction": float(source["validation_fraction"]),
  }


def _read(
  name: str,
  path: _Path | None,
  other_paths: dict[str, _Path | None],
  tfds_dirs: tuple[_Path | None, _Path | None],
  stream: bool,
  prepare: bool,
  function: Callable[[], Any] | None,
) -> tuple[dict[str, Any], str, Callable[..., Dataset]]:
  """The arrays, what to call them, and what makes a dataset of them."""
  make: Any = from_arrays
  if path is not None:
    if stream:
      make = functools.partial(from_file, path)
    else:
      _check_memory(path)
    arrays = files.read(path, **other_paths, in_memory=not stream)
    name = pathlib.Path(path).stem
  elif any(other_paths.values()):
    given = next(name for name, value in other_paths.items() if value)
    raise UsageError(f"data.{given} needs data.path")
  elif own.is_own(name):
    if stream:
      raise UsageError("data.stream needs a file or TFDS, not a function")
    from ae_jax import lookup  # here: it loads every table

    arrays = own.read(lookup.find("dataset", function or name), name)
  elif name.partition("/")[0] == "shapes":
    arrays = shapes.read(name.partition("/")[2])
    make = functools.partial(
      from_arrays,
      factor_names=shapes.FACTORS,
      unordered_factors=shapes.UNORDERED,
    )
  else:
    arrays, make = _read_tfds(name, tfds_dirs, stream, prepare)
  return arrays, name, make


def _read_tfds(
  name: str,
  dirs: tuple[_Path | None, _Path | None],
  stream: bool,
  prepare: bool,
) -> tuple[dict[str, Any], Callable[..., Dataset]]:
  """The arrays of a dataset of TFDS, and what makes a dataset of them."""
  # Here, because TensorFlow Datasets takes a while to import.
  from ae_jax.data import tfds_source

  arrays = tfds_source.read(
    name,
    download_dir=dirs[0],
    data_dir=dirs[1],
    in_memory=not stream,
    prepare=prepare,
  )
  if not isinstance(train := arrays["train"], np.memmap):
    return arrays, from_arrays
  del arrays["train"]
  return arrays, functools.partial(from_file, str(train.filename))


def _check_memory(path: str | os.PathLike[str]) -> None:
  file = os.path.expanduser(path)
  size = os.path.getsize(file) if os.path.isfile(file) else 0
  available = psutil.virtual_memory().available
  if size > available:
    raise UsageError(
      f"data.path={path} takes {size / 1e9:.1f} GB, and {available / 1e9:.1f}"
      " GB of memory are free: give data.stream=True"
    )
