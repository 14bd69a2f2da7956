"""The contractive autoencoder on digits, over strength; sigmoid code.

    ./launch.sh sweep --config=contractive.py

10 trials in one group, 23 s on 2 CPU cores. As strength goes 0, 0.01, 0.1, 1
(mean of two seeds), ||df/dx||_F^2 goes 6.1, 3.5, 1.1, 0.16 and the test error
1.12, 1.13, 1.38, 2.27. Much of it is the size of the code, which the decoder
undoes: ||df/dx||_F goes 2.5, 1.9, 1.0, 0.39, and by the standard deviation of
the code 2.4, 2.0, 1.9, 1.5.
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
