"""Networks of one width on MNIST: plain, with tied weights, residual, dropout.

    ./launch.sh sweep --config=networks.py

Ten trials in three groups, 9 minutes on 2 busy CPU cores. Test error at 8 and
32 units: PCA 29.35 and 13.19; plain 17.47 and 8.01; tied weights 17.84 and
7.91; two residual blocks on each side 16.90 and 8.68; with dropout of 0.1
18.55 and 8.71, of 0.3 21.87 and 11.40: ten epochs are too few to overfit.
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
