"""The VAE on digits over beta: what the divergence costs in reconstruction."""

from ml_collections import ConfigDict

from experiments.config import base


def get_config() -> ConfigDict:
  """The divergence falls and the error rises with beta."""
  config = base()
  config.fixed.num_epochs = 100
  config.fixed.learning_rate = 3e-3
  config.fixed.output = "bernoulli"
  config.sweep = ConfigDict(
    {
      "objective": ("vae",),
      "latent_size": (2, 8, 32),
      "beta": (0.0, 0.25, 0.5, 1.0, 2.0, 4.0),
      "seed": (0, 1),
    }
  )
  return config
