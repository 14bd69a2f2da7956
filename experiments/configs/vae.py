"""The VAE on digits over beta: what the divergence costs in reconstruction.

    ./launch.sh sweep --config=vae.py

36 trials in one group, 47 s on 2 CPU cores. As beta goes 0, 0.25, 1, 4 (8
units, mean of two seeds), the divergence goes 89, 9.6, 3.3, 0.002 nats and the
Bernoulli cross-entropy 17.0, 17.9, 21.1, 27.2 nats: at 4 the posterior has
collapsed to the prior.
"""

from ml_collections import ConfigDict

from ae_jax.cli.config import base


def get_config() -> ConfigDict:
  """The divergence falls and the error rises with beta."""
  config = base()
  config.fixed.num_epochs = 100
  config.fixed.learning_rate = 3e-3
  config.fixed.likelihood = "bernoulli"
  config.sweep = ConfigDict(
    {
      "objective": ("vae",),
      "latent_size": (2, 8, 32),
      "beta": (0.0, 0.25, 0.5, 1.0, 2.0, 4.0),
      "seed": (0, 1),
    }
  )
  return config
