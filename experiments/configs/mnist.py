"""MNIST: four latent sizes x four strengths of a 784-512-256-z sparse net."""

from ml_collections import ConfigDict

from experiments.config import base


def get_config() -> ConfigDict:
  """Sixteen trials that differ in numbers only: one program."""
  config = base()
  config.data.name = "mnist"
  config.fixed.widths = (512, 256)
  config.fixed.num_epochs = 10
  config.sweep = ConfigDict(
    {
      "objective": ("sparse",),
      "latent_size": (8, 16, 32, 64),
      "strength": (0.0, 0.001, 0.01, 0.1),
    }
  )
  return config
