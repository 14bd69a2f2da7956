"""Datasets of TFDS: read, prepared once, cached; what cannot be read."""

import os
import subprocess
import sys
import types

import jax
import numpy as np
import pytest
import tensorflow_datasets as tfds
from mistakes import check_fails
from sklearn import datasets as sklearn_datasets
from tfds_downloads import rows

from ae_jax import data
from ae_jax.data import tfds_source


@pytest.fixture(scope="session")
def data_dir(tmp_path_factory):
  return tmp_path_factory.mktemp("tensorflow_datasets")


@pytest.fixture(scope="session")
def digits(data_dir):
  return data.load(data_dir=data_dir)


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
  assert digits.train.shape == (1293, 8, 8, 1)
  assert digits.validation.shape == (144, 8, 8, 1)
  assert digits.test.shape == (360, 8, 8, 1)
  assert digits.train.dtype == digits.test.dtype == np.float32
  parts = ("train", "validation", "test")
  x = np.concatenate([getattr(digits, part) for part in parts]).reshape(-1, 64)
  y = np.concatenate([getattr(digits, f"{part}_labels") for part in parts])
  pairs = np.column_stack([x * 16, y])
  assert rows(pairs) == rows(np.column_stack([expected.data, expected.target]))


def test_digits_are_the_same_when_cached_and_when_prepared_anew(
  digits, data_dir, tmp_path, capsys
):
  cached = data.load(data_dir=data_dir)
  assert capsys.readouterr().err == ""
  anew = data.load(data_dir=tmp_path)
  assert capsys.readouterr().err == f"preparing digits in {tmp_path} (once)\n"
  assert [dataset.source["data_dir"] for dataset in (cached, anew)] == [
    str(data_dir),
    str(tmp_path),
  ]
  for dataset in cached, anew:
    same = dataset._replace(source=digits.source)
    jax.tree.map(np.testing.assert_array_equal, same, digits)


def test_labels_of_factors_are_read_and_counted_from_zero(tmp_path):
  dataset = data.load(name="ae_jax_factors", data_dir=tmp_path)
  assert dataset.factor_names == ("shape", "scale")
  assert dataset.unordered_factors == ("shape",)
  for images, factors in (
    (dataset.train, dataset.train_factors),
    (dataset.validation, dataset.validation_factors),
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


def test_a_split_named_validation_is_the_validation_set(tmp_path):
  dataset = data.load(name="ae_jax_vectors/validated", data_dir=tmp_path)
  assert dataset.train.shape == (8, 3)
  assert dataset.test.shape == (2, 3)  # of the train split: there is no other
  assert dataset.train.dtype == np.float32
  labels = dataset.validation_labels
  np.testing.assert_array_equal(
    dataset.validation, np.float32(labels[:, np.newaxis] / [7, 7, 7])
  )
  assert sorted(labels) == [0, 1, 2, 3]


def test_a_dataset_with_a_train_split_only_is_split(tmp_path):
  dataset = data.load(
    name="ae_jax_vectors/train_only:1.0.0", data_dir=tmp_path, test_fraction=0.3
  )
  assert dataset.train.shape == (6, 3)
  assert dataset.validation.shape == (1, 3)
  assert dataset.test.shape == (3, 3)
  labels = [
    *dataset.train_labels,
    *dataset.validation_labels,
    *dataset.test_labels,
  ]
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
    assert streamed.num_train == len(digits.train)
    seen = streamed.stream[np.arange(streamed.num_train)]
    np.testing.assert_array_equal(seen, streamed.train)
    np.testing.assert_array_equal(streamed.test, digits.test)
    # Rows of another draw are held out; all are there.
    assert rows(
      np.concatenate([streamed.train, streamed.validation]).reshape(-1, 64)
    ) == rows(np.concatenate([digits.train, digits.validation]).reshape(-1, 64))

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
    ("huggingface:mnist", "cannot load dataset 'huggingface:mnist': Module"),
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


def test_preparing_without_tensorflow(monkeypatch, tmp_path):
  monkeypatch.setitem(sys.modules, "tensorflow", None)  # as if not installed
  check_fails(
    r"ae_jax_arrays .*: pip install 'ae_jax\[tensorflow\]', or EXTRAS=",
    data.load,
    name="ae_jax_arrays",
    data_dir=tmp_path,
  )
