"""Names, files and arrays -> datasets."""

from ae_jax.data.arrays import check_integers, from_arrays
from ae_jax.data.as_dataset import as_dataset
from ae_jax.data.dataset import (
  Dataset,
  Standardization,
  are_images,
  binarized,
  digest,
  to_float,
  value_range,
)
from ae_jax.data.sources import load

__all__ = [
  "Dataset",
  "Standardization",
  "are_images",
  "as_dataset",
  "binarized",
  "check_integers",
  "digest",
  "from_arrays",
  "load",
  "to_float",
  "value_range",
]
