"""The denoising autoencoder on digits: three corruptions, overcomplete too.

    ./launch.sh sweep --config=denoising.py

60 trials in 3 groups, 21 s on 2 CPU cores. As the noise goes 0, 0.01, 0.1, 0.3
(96 units, mean of two seeds), the test error on clean images goes 0.18, 0.29,
0.89, 1.56 (gaussian), 0.18, 0.21, 0.55, 1.25 (masking) and 0.18, 0.22, 0.59,
1.24 (salt and pepper).
"""

from ml_collections import ConfigDict

from ae_jax.cli.config import base


def get_config() -> ConfigDict:
  """The error on clean images grows with the noise of the training."""
  config = base()
  config.fixed.num_epochs = 50
  config.fixed.learning_rate = 3e-3
  config.sweep = ConfigDict(
    {
      "objective": ("denoising",),
      "corruption": ("gaussian", "masking", "salt_and_pepper"),
      "latent_size": (32, 96),
      "noise": (0.0, 0.01, 0.03, 0.1, 0.3),
      "seed": (0, 1),
    }
  )
  return config
