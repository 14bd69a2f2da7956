"""A VAE of binarized MNIST, to compress with.

./launch.sh sweep --config=mnist_bits.py
"""

from ml_collections import ConfigDict

from ae_jax.cli.config import base


def get_config() -> ConfigDict:
  """One 784-400-200-40 VAE."""
  config = base()
  config.data.name = "mnist"
  config.data.binarize = True
  config.fixed.widths = (400, 200)
  config.fixed.likelihood = "bernoulli"
  config.fixed.num_epochs = 20
  config.fixed.learning_rate = 2e-3
  config.fixed.schedule = "cosine"
  config.metrics = ("reconstruction", "likelihood")
  config.sweep = ConfigDict(
    {"objective": ("vae",), "latent_size": (40,), "seed": (0,)}
  )
  return config
