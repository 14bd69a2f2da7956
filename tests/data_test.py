"""Datasets by name and by file: values, splits, caches, and every mistake."""

import gzip
import io
import os
import pathlib
import pickle
import subprocess
import sys
import types
import urllib.error
import urllib.request

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tensorflow_datasets as tfds
from sklearn import datasets as sklearn_datasets

from ae_jax import data
from ae_jax.data import tfds_prepare, tfds_source
from ae_jax.types import UsageError

REPOSITORY = pathlib.Path(__file__).parents[1]
DOWNLOADS = pathlib.Path(
  os.environ.get("AE_JAX_DOWNLOAD_DIR")
  or REPOSITORY.parent / "shared" / "data" / "tfds_downloads"
)
needs_downloads = pytest.mark.skipif(
  not (DOWNLOADS / "mnist").is_dir(), reason=f"no files in {DOWNLOADS}"
)


def check_fails(match, call, *args, **kwargs):
  with pytest.raises(UsageError, match=match) as caught:
    call(*args, **kwargs)
  assert "\n" not in str(caught.value)


def rows(x):
  """The examples as a sorted list of bytes: equal for equal multisets."""
  return sorted(example.tobytes() for example in x)


# Datasets of TFDS.


@pytest.fixture(scope="session")
def data_dir(tmp_path_factory):
  return tmp_path_factory.mktemp("tensorflow_datasets")


@pytest.fixture(scope="session")
def digits(data_dir):
  return data.load(data_dir=data_dir)


@pytest.fixture(scope="session")
def mnist(data_dir):
  return data.load(name="mnist", data_dir=data_dir, download_dir=DOWNLOADS)


class AeJaxVectors(tfds.core.GeneratorBasedBuilder):
  """A dataset without `image`, in configurations of different splits."""

  VERSION = tfds.core.Version("1.0.0")
  BUILDER_CONFIGS = [
    tfds.core.BuilderConfig(name="validated"),
    tfds.core.BuilderConfig(name="train_only"),
    tfds.core.BuilderConfig(name="test_only"),
  ]

  def _info(self):
    features = {
      "signal": tfds.features.Tensor(shape=(3,), dtype=np.float64),
      "label": tfds.features.Tensor(shape=(), dtype=np.int64),
      "text": tfds.features.Text(),
    }
    return tfds.core.DatasetInfo(
      builder=self, features=tfds.features.FeaturesDict(features)
    )

  def _split_generators(self, dl_manager):
    splits = {
      "validated": {"train": 10, "validation": 4},
      "train_only": {"train": 10},
      "test_only": {"test": 4},
    }[self.builder_config.name]
    return {split: self._generate_examples(n) for split, n in splits.items()}

  def _generate_examples(self, num_examples):
    for i in range(num_examples):
      yield i, {"signal": np.full(3, i / 7), "label": i, "text": "."}


class AeJaxFactors(tfds.core.GeneratorBasedBuilder):
  """Images of factors, named and typed as those of dsprites."""

  VERSION = tfds.core.Version("1.0.0")

  def _info(self):
    features = {
      "image": tfds.features.Tensor(shape=(2, 2, 1), dtype=np.uint8),
      "label_shape": tfds.features.ClassLabel(num_classes=3),
      "label_scale": tfds.features.Tensor(shape=(), dtype=np.int64),
      "value_scale": tfds.features.Tensor(shape=(), dtype=np.float32),
    }
    return tfds.core.DatasetInfo(
      builder=self, features=tfds.features.FeaturesDict(features)
    )

  def _split_generators(self, dl_manager):
    return {"train": self._generate_examples()}

  def _generate_examples(self):
    for i in range(12):
      yield (
        i,
        {
          "image": np.full((2, 2, 1), 20 * i, np.uint8),
          "label_shape": i % 3,
          "label_scale": 10 * (i // 3) + 5,
          "value_scale": i / 7,
        },
      )


class _AeJaxImages(tfds.core.GeneratorBasedBuilder):
  """Images as arrays, which TFDS encodes with TensorFlow."""

  VERSION = tfds.core.Version("1.0.0")
  FEATURES = {"image": tfds.features.Image(shape=(2, 2, 1))}

  def _info(self):
    features = tfds.features.FeaturesDict(self.FEATURES)
    return tfds.core.DatasetInfo(builder=self, features=features)

  def _split_generators(self, dl_manager):
    return {"train": self._generate_examples()}

  def _generate_examples(self):
    yield 0, {"image": np.zeros((2, 2, 1), np.uint8)}


class AeJaxArrays(_AeJaxImages):
  name = "ae_jax_arrays"


class AeJaxVarying(_AeJaxImages):
  name = "ae_jax_varying"
  FEATURES = {"image": tfds.features.Image(shape=(None, None, 3))}


class AeJaxPair(_AeJaxImages):
  name = "ae_jax_pair"
  FEATURES = {
    "left": tfds.features.Image(shape=(2, 2, 1)),
    "right": tfds.features.Image(shape=(2, 2, 1)),
  }


def test_importing_data_does_not_import_tfds_or_sklearn():
  code = "import sys, ae_jax.data; print(*sys.modules)"
  modules = subprocess.check_output([sys.executable, "-c", code], text=True)
  assert not {"tensorflow_datasets", "sklearn"} & set(modules.split())


def test_digits_are_those_of_sklearn(digits):
  expected = sklearn_datasets.load_digits()
  assert digits.name == "digits"
  assert digits.train.shape == (1437, 8, 8, 1)
  assert digits.test.shape == (360, 8, 8, 1)
  assert digits.train.dtype == digits.test.dtype == np.float32
  x = np.concatenate([digits.train, digits.test]).reshape(-1, 64)
  y = np.concatenate([digits.train_labels, digits.test_labels])
  pairs = np.column_stack([x * 16, y])
  assert rows(pairs) == rows(np.column_stack([expected.data, expected.target]))


def test_digits_are_the_same_when_cached_and_when_prepared_anew(
  digits, data_dir, tmp_path, capsys
):
  cached = data.load(data_dir=data_dir)
  assert capsys.readouterr().err == ""
  anew = data.load(data_dir=tmp_path)
  assert capsys.readouterr().err == f"preparing digits in {tmp_path} (once)\n"
  for dataset in cached, anew:
    jax.tree.map(np.testing.assert_array_equal, dataset[1:], digits[1:])


def test_labels_of_factors_are_read_and_counted_from_zero(tmp_path):
  dataset = data.load(name="ae_jax_factors", data_dir=tmp_path)
  assert dataset.factor_names == ("shape", "scale")
  for images, factors in (
    (dataset.train, dataset.train_factors),
    (dataset.test, dataset.test_factors),
  ):
    i = images[:, 0, 0, 0] // 20
    np.testing.assert_array_equal(factors, np.stack([i % 3, i // 3], axis=1))
  assert dataset.train_labels is None
  streamed = data.load(name="ae_jax_factors", data_dir=tmp_path, stream=True)
  assert streamed.train_factors is None


def test_the_cache_is_used_and_a_damaged_one_is_replaced(digits, data_dir):
  file = data_dir / "digits" / "1.0.0" / "ae_jax-test-label.npy"
  content = file.read_bytes()
  np.save(file, digits.test_labels + 100)
  assert data.load(data_dir=data_dir).test_labels.min() == 100
  for damaged in b"", content[:-1]:
    file.write_bytes(damaged)
    y = data.load(data_dir=data_dir).test_labels
    np.testing.assert_array_equal(y, digits.test_labels)
    assert file.read_bytes() == content


def test_a_cache_that_cannot_be_written_is_done_without(
  digits, data_dir, monkeypatch
):
  def full(*args):
    raise OSError(28, "No space left on device")

  folder = data_dir / "digits" / "1.0.0"
  (folder / "ae_jax-train-image.npy").unlink()
  monkeypatch.setattr(os, "replace", full)
  dataset = data.load(data_dir=data_dir)
  np.testing.assert_array_equal(dataset.train, digits.train)
  assert not list(folder.glob("*train-image*"))


def test_two_processes_prepare_digits_at_once(tmp_path):
  code = "import sys; from ae_jax import data; "
  code += "print(data.load(data_dir=sys.argv[1]).test.sum())"
  command = [sys.executable, "-W", "error", "-c", code, str(tmp_path)]
  pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
  both = [subprocess.Popen(command, cwd=REPOSITORY, **pipes) for _ in range(2)]
  (out_a, err_a), (out_b, err_b) = (process.communicate() for process in both)
  assert [process.returncode for process in both] == [0, 0], err_a + err_b
  assert out_a == out_b
  assert (err_a + err_b).count("preparing digits") == 1


def test_a_dataset_without_test_split_is_read_from_validation(tmp_path):
  dataset = data.load(name="ae_jax_vectors/validated", data_dir=tmp_path)
  assert dataset.train.shape == (10, 3)
  assert dataset.train.dtype == np.float32
  np.testing.assert_array_equal(
    dataset.test, np.float32(dataset.test_labels[:, np.newaxis] / [7, 7, 7])
  )
  assert sorted(dataset.test_labels) == [0, 1, 2, 3]


def test_a_dataset_with_a_train_split_only_is_split(tmp_path):
  dataset = data.load(
    name="ae_jax_vectors/train_only:1.0.0", data_dir=tmp_path, test_fraction=0.3
  )
  assert dataset.train.shape == (7, 3)
  assert dataset.test.shape == (3, 3)
  labels = [*dataset.train_labels, *dataset.test_labels]
  assert sorted(labels) == list(range(10))


def test_a_prepared_dataset_needs_no_builder(digits, data_dir, tmp_path):
  copy = tmp_path / "my_digits" / "1.0.0"
  copy.mkdir(parents=True)
  for file in (data_dir / "digits" / "1.0.0").iterdir():
    text = file.read_bytes().replace(
      b'"name": "digits"', b'"name": "my_digits"'
    )
    name = file.name.replace("digits", "my_digits")
    (copy / name).write_bytes(text)
  dataset = data.load(name="my_digits", data_dir=tmp_path)
  np.testing.assert_array_equal(dataset.train, digits.train)


def test_a_dataset_can_be_streamed(digits, data_dir, tmp_path, monkeypatch):
  for folder in data_dir, tmp_path:  # stored before, and anew
    streamed = data.load(data_dir=folder, stream=True)
    rows = streamed.stream[np.arange(streamed.num_train)]
    np.testing.assert_array_equal(rows, digits.train)
    np.testing.assert_array_equal(streamed.test, digits.test)
    np.testing.assert_array_equal(streamed.train_labels, digits.train_labels)

  (tmp_path / "digits" / "1.0.0" / "ae_jax-train-image.npy").unlink()

  def read_only(path):
    raise OSError(30, "Read-only file system")

  monkeypatch.setattr(tfds_source, "replacing", read_only)
  check_fails(
    "cannot be streamed: .*cannot be made in .*Read-only",
    data.load,
    data_dir=tmp_path,
    stream=True,
  )


@pytest.mark.parametrize(
  ("name", "match"),
  [
    ("mnits", "'mnits' is unknown; did you mean mnist"),
    ("CIFAR10", "did you mean cifar10"),
    ("xqzxqz:1.0.0", "is unknown"),
    ("huggingface:mnist", r"give name\[/config\]\[:version\]"),
    ("mnist/x=1", r"give name\[/config\]\[:version\]"),
    ("", r"give name\[/config\]\[:version\]"),
    ("mnist:9.9.9", "cannot be loaded at version 9.9.9, only: 3.0.1"),
    ("digits/small", r"digits has the configs \[\]"),
    ("ae_jax_vectors/x", "has the configs .'validated', 'train_only'"),
    ("ae_jax_vectors/test_only", r"no split 'train', only \['test'\]"),
    ("ae_jax_varying", r"shape=\(None, None, 3\)"),
    ("ae_jax_pair", "not one but 2 are images"),
    ("bair_robot_pushing_small", "sequences"),
  ],
)
def test_names_that_cannot_be_read(name, match, tmp_path):
  check_fails(match, data.load, name=name, data_dir=tmp_path)


def test_preparing_without_tensorflow(monkeypatch, tmp_path):
  monkeypatch.setitem(sys.modules, "tensorflow", None)  # as if not installed
  check_fails(
    r"ae_jax_arrays .*: pip install 'ae_jax\[tensorflow\]', or EXTRAS=",
    data.load,
    name="ae_jax_arrays",
    data_dir=tmp_path,
  )


def test_a_dataset_larger_than_memory(digits, data_dir, monkeypatch):
  memory = types.SimpleNamespace(available=100_000)
  monkeypatch.setattr(tfds_source.psutil, "virtual_memory", lambda: memory)
  check_fails("digits takes .*give data.stream", data.load, data_dir=data_dir)


def test_a_dataset_prepared_in_a_format_for_tensorflow(
  digits, data_dir, tmp_path
):
  copy = tmp_path / "digits" / "1.0.0"
  copy.mkdir(parents=True)
  for file in (data_dir / "digits" / "1.0.0").glob("*.json"):
    text = file.read_text().replace("array_record", "tfrecord")
    (copy / file.name).write_text(text)
  check_fails("tfrecord.*another data.data_dir", data.load, data_dir=tmp_path)


def test_a_data_dir_that_cannot_be_written(tmp_path):
  (tmp_path / "file").touch()
  folder = tmp_path / "file" / "folder"
  check_fails("cannot write to data.data_dir", data.load, data_dir=folder)


def test_an_empty_folder_in_the_place_of_a_dataset(tmp_path):
  (tmp_path / "digits" / "1.0.0").mkdir(parents=True)
  check_fails("holds no dataset: delete it", data.load, data_dir=tmp_path)


def test_a_download_dir_without_the_files(tmp_path):
  options = {"name": "mnist", "data_dir": tmp_path}
  check_fails(
    "lacks 4 of 4 files of mnist, the first from https://storage",
    data.load,
    download_dir=tmp_path,
    **options,
  )
  check_fails(
    "download_dir=.* is not a folder",
    data.load,
    download_dir=tmp_path / "absent",
    **options,
  )


@pytest.mark.parametrize("name", ["mnist", "cifar10"])
def test_no_network(name, monkeypatch, tmp_path):
  def no_network(url, timeout):
    raise urllib.error.URLError("no route to host")

  monkeypatch.setattr(urllib.request, "urlopen", no_network)
  check_fails(
    f"cannot download {name}: .* no route to host.*data.download_dir",
    data.load,
    name=name,
    data_dir=tmp_path,
  )


def test_a_server_that_answers_at_all_is_left_to_tfds(monkeypatch):
  def forbidden(url, timeout):
    raise urllib.error.HTTPError(url, 403, "Forbidden", {}, io.BytesIO())

  monkeypatch.setattr(urllib.request, "urlopen", forbidden)
  tfds_prepare._check_reachable("mnist", "https://example.org/file")


@needs_downloads
def test_mnist_holds_the_original_images(mnist):
  assert mnist.train.shape == (60_000, 28, 28, 1)
  assert mnist.test.shape == (10_000, 28, 28, 1)
  assert mnist.train.dtype == mnist.test.dtype == np.uint8
  for x, file in (mnist.train, "train"), (mnist.test, "t10k"):
    (path,) = (DOWNLOADS / "mnist").glob(f"*_{file}-images-*.gz")
    original = np.frombuffer(
      gzip.decompress(path.read_bytes()), np.uint8, -1, 16
    )
    assert rows(x) == rows(original.reshape(-1, 28, 28, 1))


@needs_downloads
def test_mnist_has_the_labels_and_the_order_of_tfds(mnist):
  # The histograms that LeCun's label files have.
  train = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
  test = [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
  assert np.bincount(mnist.train_labels).tolist() == train
  assert np.bincount(mnist.test_labels).tolist() == test
  # From the dataset that TFDS 4.9.10 prepares with TensorFlow.
  assert mnist.train_labels[:8].tolist() == [4, 1, 0, 7, 8, 1, 2, 7]
  assert mnist.test_labels[:8].tolist() == [2, 0, 4, 8, 7, 6, 0, 6]


# One's own arrays.

X = np.arange(24, dtype=np.float32).reshape(6, 2, 2)
Y = np.arange(6)


@pytest.mark.parametrize(
  "dtype",
  ["bool", "int8", ">i4", "uint16", "int64", "float16", ">f4", "<f4", "f8"],
)
@pytest.mark.parametrize("order", ["C", "F"])
def test_values_are_kept_as_float32(dtype, order, tmp_path):
  values = np.asarray(X % 2 if dtype == "bool" else X, dtype, order)
  np.save(tmp_path / "mine.npy", values)
  np.save(tmp_path / "test.npy", values[:2])
  dataset = data.load(
    path=tmp_path / "mine.npy", test_path=str(tmp_path / "test.npy")
  )
  assert dataset.name == "mine"
  assert dataset.train.dtype == dataset.test.dtype == np.float32
  assert dataset.train.dtype.isnative
  assert dataset.train.flags.c_contiguous
  np.testing.assert_array_equal(dataset.train, values)
  np.testing.assert_array_equal(dataset.test, values[:2])
  assert dataset.train_labels is None
  assert dataset.test_labels is None


def test_bytes_stay_bytes_and_one_dimension_is_enough():
  dataset = data.from_arrays(np.arange(6, dtype=np.uint8), np.uint8([9]))
  assert dataset.train.dtype == np.uint8
  assert dataset.train.tolist() == [0, 1, 2, 3, 4, 5]


def test_memory_maps_and_jax_arrays_are_arrays(tmp_path):
  np.save(tmp_path / "x.npy", X)
  for x in np.load(tmp_path / "x.npy", mmap_mode="r"), jnp.asarray(X):
    dataset = data.from_arrays(x, x)
    assert type(dataset.train) is np.ndarray
    np.testing.assert_array_equal(dataset.train, X)


@pytest.mark.parametrize(
  ("num_examples", "test_fraction", "num_test"),
  [(3, 0.5, 1), (3, 0.999, 1), (100, 0.001, 1), (100, 0.25, 25)],
)
def test_the_split(num_examples, test_fraction, num_test):
  x = np.arange(num_examples, dtype=np.float32)
  split = {"test_fraction": test_fraction, "seed": 3}
  dataset = data.from_arrays(x, train_labels=x * 10, **split)
  assert dataset.test.shape == (num_test,)
  assert sorted([*dataset.train, *dataset.test]) == x.tolist()
  np.testing.assert_array_equal(dataset.train_labels, dataset.train * 10)
  np.testing.assert_array_equal(dataset.test_labels, dataset.test * 10)
  np.testing.assert_array_equal(data.from_arrays(x, **split).test, dataset.test)


def test_the_split_depends_on_the_seed():
  splits = {tuple(data.from_arrays(Y, seed=seed).test) for seed in range(20)}
  assert len(splits) > 1


@pytest.mark.parametrize(
  ("arrays", "labels"),
  [
    ({"anything": X}, False),
    ({"x": X}, False),
    ({"x": X, "y": Y}, True),
    ({"x_train": X, "x_test": X}, False),
    ({"x_train": X, "y_train": Y, "x_test": X, "y_test": Y}, True),
  ],
)
def test_npz_layouts(arrays, labels, tmp_path):
  np.savez_compressed(tmp_path / "x.npz", **arrays)
  dataset = data.load(path=tmp_path / "x.npz")
  assert len(dataset.train) == (6 if "x_test" in arrays else 5)
  assert (dataset.train_labels is not None) == labels
  assert (dataset.test_labels is not None) == labels


def test_labels_and_test_sets_from_files_of_their_own(tmp_path):
  np.savez(tmp_path / "test.npz", x=X[:2], y=Y[:2])
  np.save(tmp_path / "x.npy", X)
  np.save(tmp_path / "y.npy", Y)
  one = data.load(path=tmp_path / "x.npy", labels_path=tmp_path / "y.npy")
  two = data.load(
    path=tmp_path / "x.npy",
    labels_path=tmp_path / "y.npy",
    test_path=tmp_path / "test.npz",
  )
  three = data.load(
    path=tmp_path / "test.npz",
    test_path=tmp_path / "x.npy",
    test_labels_path=tmp_path / "y.npy",
  )
  np.testing.assert_array_equal(one.train[:, 0, 0], 4 * one.train_labels)
  np.testing.assert_array_equal(two.train_labels, Y)
  np.testing.assert_array_equal(two.test_labels, Y[:2])
  np.testing.assert_array_equal(three.train_labels, Y[:2])
  np.testing.assert_array_equal(three.test_labels, Y)


def test_standardize_uses_the_statistics_of_the_train_set():
  x = np.random.default_rng(0).normal(3, 5, (50, 4))
  x[:, 2] = 0.1  # constant, and its mean is not 0.1 in binary
  dataset = data.from_arrays(x, x + 1, standardize=True)
  x = np.float32(x)
  std = x.std(axis=0, dtype=np.float64)
  std[2] = 1
  assert dataset.train.dtype == dataset.test.dtype == np.float32
  # Both are computed in float64 and rounded once to float32.
  expected = (x - x.mean(axis=0, dtype=np.float64)) / std
  np.testing.assert_allclose(dataset.train, expected, rtol=1e-6, atol=1e-9)
  np.testing.assert_allclose(dataset.test, expected + 1 / std, rtol=1e-5)


@pytest.mark.parametrize("standardize", [False, True])
def test_value_range_is_in_the_units_of_the_data(standardize):
  x = np.linspace(-3, 7, 40).reshape(10, 4)
  dataset = data.from_arrays(x, x * 9, standardize=standardize)
  np.testing.assert_allclose(data.value_range(dataset), (-3, 7), rtol=1e-6)
  x = np.arange(51, 103, dtype=np.uint8).reshape(13, 4)
  dataset = data.from_arrays(x, x, standardize=standardize)
  np.testing.assert_allclose(data.value_range(dataset), (0.2, 0.4), rtol=1e-6)


def test_standardize_maps_bytes_to_the_unit_interval_first():
  x = np.uint8([[0, 7], [255, 7]])
  dataset = data.from_arrays(x, x, standardize=True)
  np.testing.assert_allclose(dataset.train, [[-1, 0], [1, 0]], atol=1e-7)


@pytest.mark.parametrize(
  ("match", "arrays"),
  [
    ("type complex64", {"train": X.astype(np.complex64)}),
    ("type <U1", {"train": np.array(["a", "b"])}),
    ("type datetime64", {"train": np.array(["2020-01-01"], "M8[D]")}),
    ("type .*'a'", {"train": np.zeros(3, [("a", "f4")])}),
    ("Python objects", {"train": np.array([None, 1])}),
    ("is no array", {"train": [[1, 2], [3]]}),
    (r"shape \(\)", {"train": 3.0}),
    (r"shape \(0, 3\)", {"train": np.zeros((0, 3))}),
    (r"shape \(3, 0\)", {"train": np.zeros((3, 0))}),
    (r"test data has shape \(0, 2, 2\)", {"train": X, "test": X[:0]}),
    ("at least three examples", {"train": X[:2]}),
    ("at least two examples", {"train": X[:1], "test": X[:1]}),
    (r"2 values .* \(0, 1\)", {"train": [[0, np.nan], [np.inf, 0]]}),
    (r"1 values .* \(1,\)", {"train": [0, -1e300]}),
    ("test data holds 1 values", {"train": [0.0], "test": [np.nan]}),
    (
      "standardized test data holds 1",
      {"train": [0, 1e-30], "test": [1e30], "standardize": True},
    ),
    (r"features of shape \(2,\).*\(2, 2\)", {"train": X, "test": X[:, 0]}),
    ("float32, the train data uint8", {"train": np.uint8(X), "test": X}),
    (r"the labels .*\(6,\): got \(5,\)", {"train": X, "train_labels": Y[:5]}),
    (r"the labels .*\(6, 1\)", {"train": X, "train_labels": Y[:, np.newaxis]}),
    (
      r"test labels .*\(6,\): got \(2,\)",
      {"train": X, "test": X, "test_labels": Y[:2]},
    ),
    ("objects", {"train": X, "train_labels": np.array([None] * 6)}),
    ("no test data", {"train": X, "test_labels": Y}),
    ("test_fraction=0:", {"train": X, "test_fraction": 0}),
    ("test_fraction=1:", {"train": X, "test_fraction": 1}),
    ("test_fraction=nan", {"train": X, "test_fraction": float("nan")}),
    ("seed=-1", {"train": X, "seed": -1}),
  ],
)
def test_arrays_that_are_no_dataset(match, arrays):
  check_fails(match, data.from_arrays, **arrays)


def npy(x, **options):
  file = io.BytesIO()
  np.save(file, x, **options)
  return file.getvalue()


def npz(**arrays):
  file = io.BytesIO()
  np.savez_compressed(file, **arrays)
  return file.getvalue()


@pytest.mark.parametrize(
  ("match", "content"),
  [
    ("neither a .npy nor a .npz", pickle.dumps([1, 2])),
    ("neither a .npy nor a .npz", b"1, 2\n3, 4\n"),
    ("neither a .npy nor a .npz", b""),
    ("cannot read .*damaged", npy(X)[:-4]),
    ("cannot read .*damaged", npy(X)[:20]),
    ("cannot read .*damaged", npz(x=X)[:-30]),
    ("cannot read .*damaged", npz(x=X).replace(b"NUMPY", b"NUMPX")[:200]),
    ("cannot read .*objects", npy(np.array([None, 1]), allow_pickle=True)),
    ("cannot read .*objects", npz(x=np.array([None, 1]))),
    (r"\['a', 'b'\]: give x and optional y and factors; or", npz(a=X, b=X)),
    (r"\['x_train', 'y_train'\]: give", npz(x_train=X, y_train=Y)),
    (r"\[\]: give", npz()),
  ],
)
def test_files_that_are_no_dataset(match, content, tmp_path):
  (tmp_path / "x.npy").write_bytes(content)
  check_fails(match, data.load, path=tmp_path / "x.npy")


@pytest.fixture
def own(tmp_path):
  np.save(tmp_path / "x.npy", X)
  np.savez(tmp_path / "xy.npz", x=X, y=Y)
  np.savez(tmp_path / "keras.npz", x_train=X, x_test=X)
  return tmp_path


@pytest.mark.parametrize(
  ("match", "files"),
  [
    ("data.path=.*No such file", {"path": "absent.npy"}),
    ("data.path=.*Is a directory", {"path": "."}),
    (
      "data.labels_path=.*No such file",
      {"path": "x.npy", "labels_path": "absent.npy"},
    ),
    (
      "labels_path=.*give one array",
      {"path": "x.npy", "labels_path": "xy.npz"},
    ),
    ("train labels that", {"path": "xy.npz", "labels_path": "x.npy"}),
    ("a train and a test", {"path": "x.npy", "test_path": "keras.npz"}),
    ("test that another", {"path": "keras.npz", "test_path": "x.npy"}),
    ("no test data", {"path": "x.npy", "test_labels_path": "x.npy"}),
    ("need data.path", {"test_path": "x.npy"}),
  ],
)
def test_files_that_do_not_fit_together(match, files, own):
  paths = {option: own / file for option, file in files.items()}
  check_fails(match, data.load, **paths)


@pytest.mark.parametrize(
  "error", [PermissionError(13, "denied"), MemoryError("denied")]
)
def test_a_file_that_cannot_be_read(error, own, monkeypatch):
  def fail(*args, **kwargs):
    raise error

  monkeypatch.setattr(np, "load", fail)
  check_fails("cannot read .*: denied", data.load, path=own / "x.npy")


# The unit interval.


@pytest.mark.parametrize("asarray", [np.asarray, jnp.asarray])
def test_to_float(asarray):
  x = asarray(np.arange(256, dtype=np.uint8))
  unit = data.to_float(x)
  assert unit.dtype == np.float32
  assert unit[0] == 0
  assert unit[255] == 1
  np.testing.assert_allclose(unit, np.arange(256) / 255, rtol=1e-6)
  assert data.to_float(unit) is unit


def test_to_float_under_jit():
  x = jnp.uint8([0, 255])
  assert jax.jit(data.to_float)(x).tolist() == [0, 1]


def test_bytes_of_zeros_and_ones_are_values_and_not_shades():
  bits = np.array([[0, 1], [1, 1], [0, 0]], np.uint8)
  dataset = data.from_arrays(bits, bits)
  assert dataset.train.dtype == np.float32
  np.testing.assert_array_equal(dataset.train, bits)
  shades = data.from_arrays(bits * 255, bits)  # one side has shades
  assert shades.train.dtype == shades.test.dtype == np.uint8
