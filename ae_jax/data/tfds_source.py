"""A TFDS name -> arrays, kept as `.npy` next to the dataset."""

import contextlib
import difflib
import importlib
import json
import math
import os
import pathlib
import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import psutil  # type: ignore[import-untyped]
import tensorflow_datasets as tfds
import tqdm
from tensorflow_datasets.core import read_only_builder, registered

from ae_jax.atomic import check_regular, replacing
from ae_jax.data import digits, mnist, tfds_prepare
from ae_jax.types import UsageError

_OWN: dict[str, type[tfds.core.DatasetBuilder]] = {
  "digits": digits.Digits,
  "fashion_mnist": mnist.FashionMNIST,
  "kmnist": mnist.KMNIST,
  "mnist": mnist.MNIST,
}
_NAME = re.compile(r"(\w+)(?:/([\w.-]+))?(?::([\d.*]+))?")
_FACTOR = "label_"  # as dsprites, shapes3d and smallnorb name theirs
_TRUSTED = "tensorflow_datasets."
# In the JSON of a protocol buffer, in either spelling, and of old versions.
_CLASS_KEYS = ("pythonClassName", "python_class_name", "type")
_BLOCK = 1000  # examples decoded at once


def read(
  name: str,
  *,
  download_dir: str | os.PathLike[str] | None = None,
  data_dir: str | os.PathLike[str] | None = None,
  in_memory: bool = True,
  prepare: bool = True,
) -> dict[str, Any]:
  """Reads the arrays that `from_arrays` takes, as far as a dataset has them.

  x is the feature `image`, or else the only feature that is an image or a
  tensor of bytes or floats of a fixed shape; y is `label`, if an integer. The
  integers named `label_...` are factors, their values counted from 0.

  Args:
    name: `name[/config][:version]` as in TFDS's catalog, or `digits`.
    download_dir: a TFDS download cache that holds the dataset's files already;
      None downloads them.
    data_dir: where datasets are prepared; None means `TFDS_DATA_DIR`, or else
      `~/tensorflow_datasets`.
    in_memory: False maps `train` from its file, an `np.memmap`.
    prepare: False writes and downloads nothing.

  Returns:
    `train`; `validation` and `test` as far as there are such splits; of each
    `..._labels` and `..._factors`, and `factor_names` and `unordered_factors`
    (those that are a `ClassLabel`), if it has them.

  Raises:
    UsageError: at an unknown name, a dataset that cannot be prepared here or,
      without `prepare`, is not; one whose files name modules of others; one
      without such a feature, and one too large for memory.
  """
  if data_dir is None:
    data_dir = os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets"
  root = pathlib.Path(os.path.expanduser(data_dir)).absolute()
  cache = (
    pathlib.Path(os.path.expanduser(download_dir)) if download_dir else None
  )
  builder = _builder(name, root)
  x, y = _features(name, builder.info.features)
  factors = [
    key
    for key in builder.info.features
    if key.startswith(_FACTOR) and _is_y(builder.info.features[key])
  ]
  if prepare:
    tfds_prepare.prepare(builder, cache)
  elif not tfds_prepare.is_prepared(builder):
    raise UsageError(
      f"dataset {name} is not prepared in {root}: a sweep on it prepares it"
    )
  builder = _builder(name, root)  # one that knows the prepared splits
  splits = _splits(name, builder.info.splits)
  mapped = () if in_memory else ("train",)
  in_memory_splits = [split for split in splits if split not in mapped]
  _check_memory(name, builder.info, in_memory_splits, x)
  arrays: dict[str, Any] = {}
  for split in splits:
    keys = [x, *([] if y is None else [y]), *factors]
    read = _read_split(builder, split, keys, split in mapped, prepare)
    arrays[split] = read[x]
    if y is not None:
      arrays[f"{split}_labels"] = read[y]
    if factors and in_memory:
      arrays[f"{split}_factors"] = np.stack([read[k] for k in factors], axis=1)
  if factors and in_memory:
    _count_values(arrays, [f"{split}_factors" for split in splits])
    arrays["factor_names"] = tuple(k.removeprefix(_FACTOR) for k in factors)
    arrays["unordered_factors"] = tuple(
      k.removeprefix(_FACTOR)
      for k in factors
      if isinstance(builder.info.features[k], tfds.features.ClassLabel)
    )
  return arrays


@tfds_prepare.quiet()
def _builder(name: str, root: pathlib.Path) -> tfds.core.DatasetBuilder:
  """Finds a builder: ours, TFDS's, or one that was prepared in `root`."""
  match = _NAME.fullmatch(name)
  if match is None:
    raise UsageError(f"data.name={name!r}: give name[/config][:version]")
  dataset, config, version = match.groups()
  names = sorted({*_OWN, *_tfds_names()})
  try:
    if dataset not in names:
      _check_classes(root / dataset)
      return read_only_builder.builder_from_files(
        dataset, data_dir=root, config=config, version=version
      )
    builder_cls = _OWN.get(dataset) or tfds.builder_cls(dataset)
    configs = [choice.name for choice in builder_cls.BUILDER_CONFIGS]
    if config is None or config in configs:
      return builder_cls(data_dir=root, config=config, version=version)
  except UsageError:
    raise
  except registered.DatasetNotFoundError as error:
    close = difflib.get_close_matches(dataset.lower(), names)
    hint = f"did you mean {' or '.join(close)}? " if close else ""
    raise UsageError(
      f"data.name={name!r} is unknown; {hint}names are at "
      "tensorflow.org/datasets/catalog, a file of yours goes to data.path"
    ) from error
  except Exception as error:  # no such version, a missing library, ...
    raise UsageError(tfds_prepare.explain(name, error)) from error
  raise UsageError(f"data.name={name!r}: {dataset} has the configs {configs}")


def _check_classes(folder: pathlib.Path) -> None:
  """Raises UsageError where files of a dataset name classes of other packages.

  TFDS imports whatever module they name.
  """
  for file in ("features.json", "dataset_info.json"):
    # As TFDS lays them out: [config/]version/.
    for pattern in (file, f"*/{file}", f"*/*/{file}"):
      for path in folder.glob(pattern):
        check_regular(path)
        for name in _classes(json.loads(path.read_text(encoding="utf-8"))):
          if not str(name).startswith(_TRUSTED):
            raise UsageError(
              f"{path} names {name!r}, which is no class of TFDS: its module is"
              " not imported"
            )


def _classes(value: Any) -> Iterator[Any]:
  """The classes that a JSON of TFDS names, at any depth."""
  if isinstance(value, list):
    for item in value:
      yield from _classes(item)
  elif isinstance(value, dict):
    for key in _CLASS_KEYS:
      # `type` is also a field of another meaning.
      if key in value and (key != "type" or "content" in value):
        yield value[key]
    for item in value.values():
      yield from _classes(item)


def _tfds_names() -> list[str]:
  # TFDS's list ends at its first subpackage whose library is missing (h5py, for
  # robots); these come after it.
  for subpackage in "structured", "time_series", "video":
    with contextlib.suppress(ImportError):
      importlib.import_module(f"tensorflow_datasets.{subpackage}")
  return tfds.list_builders(with_community_datasets=False)


def _features(
  name: str, features: tfds.features.FeatureConnector
) -> tuple[str, str | None]:
  """Returns which feature is x, and which is y if there is one."""
  if not isinstance(features, tfds.features.FeaturesDict):
    raise UsageError(f"{name} consists of sequences, not of fixed arrays")
  x = "image"
  if x not in features:
    fits = [key for key in features if _is_x(features[key])]
    if len(fits) != 1:
      raise UsageError(
        f"{name} has no feature 'image', and of {sorted(features)} not one but "
        f"{len(fits)} are images or tensors of uint8 or floats of fixed shape"
      )
    (x,) = fits
  if not _is_x(features[x]):
    raise UsageError(
      f"{name} has images as {' '.join(repr(features[x]).split())}: only one "
      "fixed shape, of uint8 or floats, can be read"
    )
  y = "label"
  return x, y if y in features and _is_y(features[y]) else None


def _is_x(feature: tfds.features.FeatureConnector) -> bool:
  if not isinstance(feature, tfds.features.Image | tfds.features.Tensor):
    return False
  dtype = np.dtype(feature.np_dtype)
  fixed = len(feature.shape) > 0 and None not in feature.shape
  return fixed and (dtype == np.uint8 or dtype.kind == "f")


def _is_y(feature: tfds.features.FeatureConnector) -> bool:
  scalar = isinstance(feature, tfds.features.Tensor) and feature.shape == ()
  return scalar and np.dtype(feature.np_dtype).kind in "iu"


def _count_values(arrays: dict[str, Any], names: list[str]) -> None:
  """Numbers the values of each factor from 0, the same in all splits."""
  ends = np.cumsum([len(arrays[name]) for name in names])[:-1]
  columns = np.concatenate([arrays[name] for name in names]).T
  counted = [np.unique(column, return_inverse=True)[1] for column in columns]
  parts = np.split(np.stack(counted, axis=1).astype(np.int32), ends)
  arrays |= dict(zip(names, parts, strict=True))


def _splits(name: str, splits: tfds.core.splits.SplitDict) -> list[str]:
  """Returns the splits to read."""
  if "train" not in splits:
    raise UsageError(f"{name} has no split 'train', only {sorted(splits)}")
  return [part for part in ("train", "validation", "test") if part in splits]


def _check_memory(
  name: str, info: tfds.core.DatasetInfo, splits: list[str], x: str
) -> None:
  feature = info.features[x]
  num_examples = sum(info.splits[split].num_examples for split in splits)
  itemsize = np.dtype(feature.np_dtype).itemsize
  needed = num_examples * math.prod(feature.shape) * itemsize
  available = psutil.virtual_memory().available
  if needed > available:
    raise UsageError(
      f"{name} takes {needed / 2**30:.1f} GiB of memory, and "
      f"{available / 2**30:.1f} GiB are free: give data.stream=True"
    )


@tfds_prepare.quiet()
def _read_split(
  builder: tfds.core.DatasetBuilder,
  split: str,
  keys: list[str],
  mapped: bool,
  store: bool,
) -> dict[str, np.ndarray]:
  """Reads features of one split from their files, which it may make.

  The first, x, is mapped from its file if that is asked for.
  """
  folder = pathlib.Path(builder.data_dir)
  paths = {key: folder / f"ae_jax-{split}-{key}.npy" for key in keys}

  def load() -> dict[str, np.ndarray]:
    for path in paths.values():
      check_regular(path)
    arrays = {
      key: np.load(path, mmap_mode="r" if mapped else None, allow_pickle=False)
      for key, path in paths.items()
    }
    return {
      key: array if key == keys[0] else np.asarray(array)
      for key, array in arrays.items()
    }

  with contextlib.suppress(OSError, ValueError, EOFError):  # absent or damaged
    return load()
  try:
    if not store:
      raise OSError("nothing is to be written")
    with tfds_prepare.locked(builder):
      with contextlib.suppress(OSError, ValueError, EOFError):
        return load()  # another process was faster
      _store(builder, split, paths)
    return load()
  except OSError as error:  # a folder that may only be read, say
    if mapped:
      raise UsageError(
        f"{builder.name} cannot be streamed: its file cannot be made in"
        f" {folder} ({error.strerror or error})"
      ) from error
  blocks = [*_decode(builder, split, keys)]
  return {key: np.concatenate([b[key] for b in blocks]) for key in keys}


def _store(
  builder: tfds.core.DatasetBuilder,
  split: str,
  paths: dict[str, pathlib.Path],
) -> None:
  """Writes features of a split as `.npy` files, a block at a time."""
  features = builder.info.features
  num_examples = builder.info.splits[split].num_examples
  with contextlib.ExitStack() as stack:
    files = {
      key: stack.enter_context(replacing(path)) for key, path in paths.items()
    }
    for key, file in files.items():
      header = {
        "descr": np.dtype(features[key].np_dtype).str,
        "fortran_order": False,
        "shape": (num_examples, *features[key].shape),
      }
      np.lib.format.write_array_header_1_0(file, header)
    for block in _decode(builder, split, [*paths]):
      for key, file in files.items():
        file.write(block[key].tobytes())


def _decode(
  builder: tfds.core.DatasetBuilder, split: str, keys: list[str]
) -> Iterator[dict[str, np.ndarray]]:
  """Decodes features of a split, a block of examples at a time."""
  try:
    source = builder.as_data_source(split)
  except NotImplementedError as error:
    raise UsageError(
      f"{builder.name} was prepared in {builder.data_dir} as "
      f"{builder.info.file_format.value}, which needs TensorFlow to be read: "
      "choose another data.data_dir"
    ) from error
  features = builder.info.features
  starts = range(0, len(source), _BLOCK)
  for start in tqdm.tqdm(starts, f"reading {builder.name} {split}", delay=2):
    block = range(start, min(start + _BLOCK, len(source)))
    rows = source.__getitems__(block)
    yield {
      key: np.stack([row[key] for row in rows]).astype(features[key].np_dtype)
      for key in keys
    }
