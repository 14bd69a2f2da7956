"""The denoising autoencoder on digits: three corruptions, overcomplete."""

from ml_collections import ConfigDict

from experiments.config import base


def get_config() -> ConfigDict:
  """The error on clean images grows with the noise of the training."""
  config = base()
  config.fixed.num_epochs = 50
  config.fixed.learning_rate = 3e-3
  config.sweep = ConfigDict(
    {
      "objective": ("denoising",),
      "corruption": ("gaussian", "masking", "salt_and_pepper"),
      "latent_size": (32, 96),
      "noise": (0.0, 0.01, 0.03, 0.1, 0.3),
      "seed": (0, 1),
    }
  )
  return config
