"""The plain autoencoder on digits: latent size against PCA, linear and deep."""

from ml_collections import ConfigDict

from experiments.config import base


def get_config() -> ConfigDict:
  """A linear, a shallow and a deep net, under- and overcomplete."""
  config = base()
  config.fixed.num_epochs = 100
  config.fixed.learning_rate = 5e-3
  config.fixed.schedule = "cosine"
  config.sweep = ConfigDict(
    {
      "objective": ("autoencoder",),
      "latent_size": (1, 2, 4, 8, 16, 32, 64, 96),
      "widths": ((), (64,), (128, 64)),
      "seed": (0, 1),
    }
  )
  return config
