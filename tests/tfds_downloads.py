"""Files of MNIST that TFDS has downloaded, where there are any."""

import os
import pathlib

import pytest

REPOSITORY = pathlib.Path(__file__).parents[1]
DOWNLOADS = pathlib.Path(
  os.environ.get("AE_JAX_DOWNLOAD_DIR")
  or REPOSITORY.parent / "shared" / "data" / "tfds_downloads"
)
needs_downloads = pytest.mark.skipif(
  not (DOWNLOADS / "mnist").is_dir(), reason=f"no files in {DOWNLOADS}"
)


def rows(x):
  """The examples as a sorted list of bytes: equal for equal multisets."""
  return sorted(example.tobytes() for example in x)
