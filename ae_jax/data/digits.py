"""Scikit-learn's handwritten digits as a TFDS dataset that needs no network."""

import hashlib

import numpy as np
import tensorflow_datasets as tfds

_NUM_TRAIN = 1437

_DESCRIPTION = """\
1,797 handwritten digits of 13 people, 8x8 pixels: the test set of the UCI
"Optical Recognition of Handwritten Digits" in the copy that scikit-learn
carries. A pixel is the count k = 0..16 of black dots in a 4x4 block, here as
k / 16. Train and test are cut by this package: the examples are ordered by
the SHA-256 of their index in `sklearn.datasets.load_digits`, written in
decimal; the first 1,437 are the train set, the other 360 the test set.
"""

_CITATION = """\
@misc{alpaydin1998optical,
  author = {Alpaydin, Ethem and Kaynak, Cenk},
  title = {Optical Recognition of Handwritten Digits},
  year = {1998},
  howpublished = {UCI Machine Learning Repository},
  doi = {10.24432/C50P49}
}
"""


class Digits(  # type: ignore[call-arg]  # mypy does not see TFDS
  tfds.core.GeneratorBasedBuilder, skip_registration=True
):
  """Handwritten digits, 8x8, embedded in scikit-learn."""

  name = "digits"
  VERSION = tfds.core.Version("1.0.0")
  RELEASE_NOTES = {"1.0.0": "1,437 train and 360 test examples."}

  def _info(self):
    return tfds.core.DatasetInfo(
      builder=self,
      description=_DESCRIPTION,
      features=tfds.features.FeaturesDict(
        {
          "image": tfds.features.Tensor(shape=(8, 8, 1), dtype=np.float32),
          "label": tfds.features.ClassLabel(num_classes=10),
        }
      ),
      supervised_keys=("image", "label"),
      homepage="https://archive.ics.uci.edu/dataset/80",
      citation=_CITATION,
    )

  def _split_generators(self, dl_manager):
    del dl_manager  # nothing is downloaded
    from sklearn import datasets  # here: it takes a second

    digits = datasets.load_digits()
    images = (digits.images / 16).astype(np.float32)[..., np.newaxis]
    order = sorted(range(len(images)), key=_sha256)
    return {
      "train": self._generate_examples(
        images, digits.target, order[:_NUM_TRAIN]
      ),
      "test": self._generate_examples(
        images, digits.target, order[_NUM_TRAIN:]
      ),
    }

  def _generate_examples(self, images, labels, indices):
    for index in indices:
      yield index, {"image": images[index], "label": int(labels[index])}


def _sha256(index: int) -> bytes:
  # Unlike a NumPy generator, the same in every version.
  return hashlib.sha256(str(index).encode()).digest()
