"""TFDS's MNIST and its relatives, prepared without TensorFlow.

The original builders unpack their files and encode their images with
TensorFlow. These do it with gzip and Pillow, and leave everything else as it
was: names, versions, features, checksums, keys. What they prepare is the same
dataset, pixel for pixel, in TFDS's fixed shuffled order. (The PNG files may
differ by a few bytes.) TFDS knows these names already, so the classes are not
registered with it.
"""

import gzip
import os

import numpy as np
import tensorflow_datasets as tfds
from PIL import Image
from tensorflow_datasets.image_classification import mnist as original

_FILES = {
  "train": ("train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"),
  "test": ("t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"),
}


class IdxBuilder:
  """Reads the idx files of LeCun: big-endian headers, then bytes."""

  URL: str

  def _split_generators(self, dl_manager: tfds.download.DownloadManager):
    paths = dl_manager.download(
      {split: [self.URL + file for file in _FILES[split]] for split in _FILES}
    )
    return {split: self._generate_examples(*paths[split]) for split in _FILES}

  def _generate_examples(self, images_path, labels_path):
    images = _read_idx(images_path, offset=16).reshape(-1, 28, 28)
    labels = _read_idx(labels_path, offset=8)
    for i, (image, label) in enumerate(zip(images, labels, strict=True)):
      yield i, {"image": Image.fromarray(image), "label": int(label)}


class MNIST(  # type: ignore[call-arg]  # mypy does not see TFDS
  IdxBuilder, original.MNIST, skip_registration=True
):
  """MNIST (LeCun et al.)."""

  name = "mnist"
  url_infos = original.MNIST.url_infos


class FashionMNIST(  # type: ignore[call-arg]  # mypy does not see TFDS
  IdxBuilder, original.FashionMNIST, skip_registration=True
):
  """Fashion-MNIST (Xiao et al. 2017)."""

  name = "fashion_mnist"
  url_infos = original.FashionMNIST.url_infos


class KMNIST(  # type: ignore[call-arg]  # mypy does not see TFDS
  IdxBuilder, original.KMNIST, skip_registration=True
):
  """Kuzushiji-MNIST (Clanuwat et al. 2018)."""

  name = "kmnist"
  url_infos = original.KMNIST.url_infos


def _read_idx(path: os.PathLike[str], offset: int) -> np.ndarray:
  with gzip.open(path) as file:
    return np.frombuffer(file.read(), np.uint8, offset=offset)
