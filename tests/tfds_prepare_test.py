"""Datasets of TFDS are prepared once; what keeps them from it is one line."""

import gzip
import io
import subprocess
import sys
import urllib.error
import urllib.request

import numpy as np
import pytest
from mistakes import check_fails
from tfds_downloads import DOWNLOADS, REPOSITORY, needs_downloads, rows

from ae_jax import data
from ae_jax.data import tfds_prepare


@pytest.fixture(scope="session")
def mnist(tmp_path_factory):
  data_dir = tmp_path_factory.mktemp("tensorflow_datasets")
  return data.load(name="mnist", data_dir=data_dir, download_dir=DOWNLOADS)


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


@pytest.mark.slow
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


@pytest.mark.slow
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
