"""The contractive autoencoder on digits, over strength; sigmoid code.

    ./launch.sh sweep --config=contractive.py

10 trials in one group, 23 s on 2 CPU cores. As strength goes 0, 0.01, 0.1, 1
(mean of two seeds), ||df/dx||_F^2 goes 6.4, 3.5, 1.1, 0.15 and the test error
0.98, 1.04, 1.32, 2.25.
"""

from ml_collections import ConfigDict

from ae_jax.cli.config import base


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
