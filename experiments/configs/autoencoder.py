"""The plain autoencoder on digits: latent size against PCA, linear and deep.

    ./launch.sh sweep --config=autoencoder.py

48 trials in 3 groups, 37 s on 2 CPU cores. Test error at 2, 8 and 32 units
(mean of two seeds): PCA 3.42, 1.61, 0.17; linear 4.05, 1.87, 0.28; one hidden
layer 2.67, 1.09, 0.29; two 2.37, 0.89, 0.35.
"""

from ml_collections import ConfigDict

from ae_jax.cli.config import base


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
