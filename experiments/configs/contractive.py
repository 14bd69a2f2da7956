"""The contractive autoencoder on digits, over strength."""

from ml_collections import ConfigDict

from experiments.config import base


def get_config() -> ConfigDict:
  """The Jacobian's norm falls and the error rises with the strength."""
  config = base()
  config.fixed.num_epochs = 30
  config.fixed.learning_rate = 3e-3
  config.fixed.code = "sigmoid"
  config.sweep = ConfigDict(
    {
      "objective": ("contractive",),
      "latent_size": (32,),
      "strength": (0.0, 0.001, 0.01, 0.1, 1.0),
      "seed": (0, 1),
    }
  )
  return config
