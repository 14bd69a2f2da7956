"""The fields that every config has, with their defaults."""

from ml_collections import ConfigDict, config_dict

from ae_jax.metrics.registry import available_groups
from ae_jax.settings import DEFAULTS


def base() -> ConfigDict:
  """The configuration that a config file starts from.

  `sweep.<setting>` takes a tuple of values, `sweep.<objective>.<setting>` one
  for that objective alone (see `ae_jax.grid.union`); `fixed.<setting>` is what
  holds where nothing is swept.
  """
  return ConfigDict(
    {
      # One objective, in the place of those in `sweep.objective`.
      "objective": config_dict.placeholder(str),
      "data": {
        "name": "digits",  # any TFDS name with images or float vectors
        "path": config_dict.placeholder(str),  # own .npy or .npz instead
        "labels_path": config_dict.placeholder(str),
        "test_path": config_dict.placeholder(str),
        "test_labels_path": config_dict.placeholder(str),
        "validation_path": config_dict.placeholder(str),
        "validation_labels_path": config_dict.placeholder(str),
        "test_fraction": 0.2,  # held out where there is no test set
        "validation_fraction": 0.1,  # of the rest; all is chosen on it
        "seed": 0,  # of these splits
        "stream": False,  # larger than memory: read while it trains
        "standardize": False,  # by the training set's mean and deviation
        "missing": False,  # NaN is an entry that is missing
        "anomaly_classes": (),  # labels that are held out of training
        "binarize": False,  # x ~ Bernoulli(x), drawn anew at each step
        "dequantize": False,  # adds u / 255 to bytes, drawn anew at each step
        "data_dir": config_dict.placeholder(str),  # where TFDS keeps datasets
        "download_dir": config_dict.placeholder(str),  # files already there
      },
      "fixed": {k: v for k, v in DEFAULTS.items() if k != "objective"},
      "sweep": {},
      # What trained models are measured by; fewer take less time.
      "metrics": available_groups(),
      # Training that a crash may cost; a snapshot is kept so often.
      "snapshot_seconds": 60.0,
      "tensorboard": False,  # also write learning curves for TensorBoard
      # What one program may take; half of the device's (CPU: the machine's).
      "memory_gb": config_dict.placeholder(float),
    }
  )
