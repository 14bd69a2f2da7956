"""Arrays and files that are no dataset are told in one line."""

import io
import pickle

import numpy as np
import pytest
from mistakes import check_fails
from scipy import sparse

from ae_jax import data

X = np.arange(24, dtype=np.float32).reshape(6, 2, 2)
Y = np.arange(6)


@pytest.mark.parametrize(
  ("match", "arrays"),
  [
    ("type complex64", {"train": X.astype(np.complex64)}),
    ("type <U1", {"train": np.array(["a", "b"])}),
    ("type datetime64", {"train": np.array(["2020-01-01"], "M8[D]")}),
    ("type .*'a'", {"train": np.zeros(3, [("a", "f4")])}),
    ("Python objects", {"train": np.array([None, 1])}),
    ("is no array", {"train": [[1, 2], [3]]}),
    ("sparse matrix: give x.toarray", {"train": sparse.csr_array(np.eye(5))}),
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
    (r"the labels .*\(6, 2\)", {"train": X, "train_labels": np.c_[Y, Y]}),
    (r"data holds the integer 16777217,", {"train": [0, 0, 2**24 + 1]}),
    (
      r"data holds the integer -9223372036854775808",
      {"train": [0, 0, -(2**63)]},
    ),
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
    ("data.test_path needs data.path", {"test_path": "x.npy"}),
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
