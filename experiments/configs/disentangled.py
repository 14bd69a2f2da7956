"""Shapes of known factors: what a stronger prior does to the units of a code.

./launch.sh sweep --config=disentangled.py
"""

from ml_collections import ConfigDict

from experiments.config import base


def get_config() -> ConfigDict:
  """VAEs over beta and three of their kin, on 6,144 images of 64 x 64."""
  config = base()
  config.data.name = "shapes/3x4x8x8x8"
  config.fixed.widths = (256, 128)
  config.fixed.num_epochs = 100
  config.fixed.learning_rate = 1e-3
  config.fixed.output = "bernoulli"
  config.measures = ("reconstruction", "likelihood", "disentanglement")
  config.sweep = ConfigDict(
    {
      "objective": ("vae", "beta_tcvae", "factor_vae", "dip_vae", "ada_gvae"),
      "latent_size": (10,),
      "seed": (0, 1, 2),
      "vae": {"beta": (0.1, 0.5, 1.0, 4.0, 16.0)},
      "beta_tcvae": {"beta": (4.0,)},
      "factor_vae": {"gamma": (10.0,)},
      "dip_vae": {"off_diagonal": (10.0,)},
      "ada_gvae": {"beta": (1.0, 4.0), "pairs": ("one_factor", "class")},
    }
  )
  return config
