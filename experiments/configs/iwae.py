"""Importance weighted autoencoders on binarized MNIST, 784-200-200-50.

    ./launch.sh sweep --config=iwae.py

After ten epochs, 15 minutes on 2 CPU cores, -log p(x) is at most 103.3, 100.3
and 99.7 nats for the VAE and k = 5 and 50 (64 samples), with 31, 46 and 50
active units. Burda et al. (2016) report 86.76, 85.54 and 84.78 nats after 3,280
epochs.
"""

from ml_collections import ConfigDict

from ae_jax.cli.config import base


def get_config() -> ConfigDict:
  """The VAE and two IWAEs, for a few of the paper's epochs."""
  config = base()
  config.data.name = "mnist"
  config.data.binarize = True
  config.fixed.widths = (200, 200)
  config.fixed.activation = "tanh"
  config.fixed.likelihood = "bernoulli"
  config.fixed.num_epochs = 10
  config.metrics = ("reconstruction", "likelihood")
  config.sweep = ConfigDict(
    {
      "objective": ("vae", "iwae"),
      "latent_size": (50,),
      "iwae": {"num_samples": (5, 50)},
    }
  )
  return config
