"""A VAE of the bytes of MNIST, to compress with.

./launch.sh sweep --config=mnist_bytes.py
"""

from ml_collections import ConfigDict

from ae_jax.cli.config import base


def get_config() -> ConfigDict:
  """One 784-400-200-40 VAE."""
  config = base()
  config.data.name = "mnist"
  config.fixed.widths = (400, 200)
  config.fixed.likelihood = "logistic_mixture"
  config.fixed.num_epochs = 12
  config.fixed.learning_rate = 2e-3
  config.fixed.schedule = "cosine"
  config.metrics = ("reconstruction", "likelihood")
  config.sweep = ConfigDict(
    {"objective": ("vae",), "latent_size": (40,), "seed": (0,)}
  )
  return config
