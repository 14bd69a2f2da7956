"""Whatever is called data becomes a dataset; one of arrays is kept whole."""

import jax
import numpy as np
import pytest
from mistakes import check_fails

from ae_jax import data
from ae_jax.data import stored

RNG = np.random.default_rng(0)
X = RNG.uniform(size=(12, 3)).astype(np.float32)
BYTES = RNG.integers(0, 255, (12, 2, 2, 1), np.uint8)
WORDS = np.array(["a", "漢字", "c"] * 4)
FACTORS = np.stack([np.arange(12) % 3, np.arange(12) // 3], axis=1)


def check_equal(one, two):
  jax.tree.map(np.testing.assert_array_equal, one, two)
  for a, b in zip(one, two, strict=True):
    assert getattr(a, "dtype", None) == getattr(b, "dtype", None)
    assert type(a) is type(b)


@pytest.mark.parametrize(
  "dataset",
  [
    data.from_arrays(X),
    data.from_arrays(X, X[:4], np.arange(12), np.arange(4)),
    data.from_arrays(BYTES, train_labels=WORDS),
    data.from_arrays(
      X, X[:4], np.arange(12) % 3, np.arange(4) % 3, anomaly_classes=[2]
    ),
    data.from_arrays(BYTES, standardize=True),
    data.from_arrays(
      X,
      train_factors=FACTORS,
      factor_names=("x", "y"),
      unordered_factors=("y",),
    ),
    data.from_arrays(X, name="<b>é")._replace(
      binarize=True, test=data.binarized(X[:4], 0)
    ),
  ],
  ids=[
    "plain",
    "numbers",
    "words",
    "anomalies",
    "standardized",
    "factors",
    "binarized",
  ],
)
def test_a_dataset_is_kept_whole(tmp_path, dataset):
  path = tmp_path / stored.DATA
  stored.save(dataset, path)
  again = stored.load(path)
  check_equal(again, dataset)
  assert data.digest(again) == data.digest(dataset)
  before = path.stat()
  stored.save(dataset, path)  # the first one stays
  assert path.stat() == before
  assert [*tmp_path.iterdir()] == [path]


@pytest.mark.parametrize(
  "damage",
  [
    lambda content: b"",
    lambda content: content[:-30],
    lambda content: b"1, 2\n",
    lambda content: content.replace(b"NUMPY", b"NUMPX"),
    lambda content: content.replace(b"test.npy", b"rest.npy"),
    lambda content: content.replace(b"name.npy", b"nime.npy"),
  ],
)
def test_a_damaged_file_is_one_line(tmp_path, damage):
  path = tmp_path / stored.DATA
  stored.save(data.from_arrays(X), path)
  path.write_bytes(damage(path.read_bytes()))
  check_fails("data.npz is absent or damaged", stored.load, path)
  stored.save(data.from_arrays(X), path)
  check_equal(stored.load(path), data.from_arrays(X))


def test_other_statistics_are_other_data(tmp_path):
  path = tmp_path / stored.DATA
  dataset = data.from_arrays(X, standardize=True)
  mean, std = dataset.standardization
  for statistics in ((mean, 2 * std), (2 * mean, std)):
    other = dataset._replace(standardization=data.Standardization(*statistics))
    assert data.digest(other) != data.digest(dataset)
    stored.save(other, path)
    stored.save(dataset, path)
    check_equal(stored.load(path), dataset)


def test_an_absent_file_or_a_folder_is_one_line(tmp_path):
  check_fails("is absent or damaged", stored.load, tmp_path / stored.DATA)
  check_fails("is absent or damaged", stored.load, tmp_path)


def test_what_cannot_be_kept_is_one_line(tmp_path):
  np.save(tmp_path / "x.npy", X)
  streamed = data.load(path=tmp_path / "x.npy", stream=True)
  check_fails("a stream", stored.save, streamed, tmp_path / stored.DATA)
  objects = data.from_arrays(X)._replace(train_labels=np.array([None] * 12))
  check_fails("Python objects", stored.save, objects, tmp_path / stored.DATA)
  assert not (tmp_path / stored.DATA).exists()


def test_arrays_files_names_and_datasets_are_data(tmp_path):
  np.save(tmp_path / "x.npy", X)
  made = data.as_dataset(X)
  check_equal(made, data.from_arrays(X))
  assert data.as_dataset(made) is made
  path = tmp_path / "x.npy"
  for given in (path, str(path)):
    check_equal(data.as_dataset(given), data.load(path=path))
  named = data.as_dataset("shapes/1x1x1x2x2", standardize=True)
  check_equal(named, data.load(name="shapes/1x1x1x2x2", standardize=True))
  full = data.as_dataset(
    X, X[:4], WORDS, WORDS[:4], factors=FACTORS, standardize=True
  )
  expected = data.from_arrays(
    X, X[:4], WORDS, WORDS[:4], train_factors=FACTORS, standardize=True
  )
  check_equal(full, expected)


@pytest.mark.parametrize("option", ["test", "labels", "test_labels", "factors"])
@pytest.mark.parametrize("x", ["digits", "x.npy", data.from_arrays(X)])
def test_what_goes_with_an_array_is_refused_for_others(x, option):
  match = f"^{option} goes with an array"
  check_fails(match, data.as_dataset, x, **{option: X})


def test_a_dataset_is_not_standardized_again():
  dataset = data.from_arrays(X)
  check_fails("standardize", data.as_dataset, dataset, standardize=True)


def test_the_source_is_the_call_with_absolute_paths(tmp_path, monkeypatch):
  np.save(tmp_path / "x.npy", X)
  monkeypatch.chdir(tmp_path)
  dataset = data.load(path="x.npy", seed=3, test_fraction=0.5)
  assert dataset.source == {
    "name": "digits",
    "path": str(tmp_path / "x.npy"),
    "labels_path": None,
    "test_path": None,
    "test_labels_path": None,
    "validation_path": None,
    "validation_labels_path": None,
    "download_dir": None,
    "data_dir": None,
    "test_fraction": 0.5,
    "validation_fraction": 0.1,
    "seed": 3,
    "standardize": False,
    "binarize": False,
    "dequantize": False,
    "stream": False,
    "anomaly_classes": [],
    "missing": False,
  }
  monkeypatch.chdir("/")
  check_equal(data.load(**dataset.source), dataset)
  assert data.from_arrays(X).source is None
