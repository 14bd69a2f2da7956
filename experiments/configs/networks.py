"""Networks of one width on MNIST: plain, with tied weights, residual, dropout.

    ./launch.sh sweep --config=networks.py

TIMES
"""

from ml_collections import ConfigDict

from ae_jax.cli.config import base


def get_config() -> ConfigDict:
  """A group for each network; its latent sizes and dropout share a program."""
  config = base()
  config.data.name = "mnist"
  config.fixed.widths = (256,)
  config.fixed.activation = "gelu"
  config.fixed.num_epochs = 10
  config.metrics = ("reconstruction", "features")
  config.sweep = ConfigDict(
    {
      "objective": ("autoencoder",),
      "network": ("mlp", "residual_mlp"),
      "latent_size": (8, 32),
      "mlp": {"tied": (False, True)},
      "residual_mlp": {"dropout": (0.0, 0.1, 0.3)},
    }
  )
  return config
