"""Shapes of known factors: what a stronger prior does to the units of a code.

    ./launch.sh sweep --config=disentangled.py

24 trials, about 20 minutes on 2 CPU cores. The mutual information gap of the
first two seeds: beta = 1, 4, 16: 0.032, 0.065, 0.019 (by then the
reconstruction has gone from 66 to 137 nats); `ada_gvae`, which is given pairs,
0.217. The first three units of `gvae` tell of the position, which its pairs
share, the others of the scale: the page swaps them.
"""

from ml_collections import ConfigDict

from ae_jax.cli.config import base


def get_config() -> ConfigDict:
  """VAEs over beta and five of their kin, on 6,144 images of 64 x 64."""
  config = base()
  config.data.name = "shapes/3x4x8x8x8"
  config.fixed.widths = (256, 128)
  config.fixed.num_epochs = 50
  config.fixed.learning_rate = 1e-3
  config.fixed.likelihood = "bernoulli"
  config.metrics = ("reconstruction", "likelihood", "disentanglement")
  config.sweep = ConfigDict(
    {
      "objective": (
        "vae",
        "ada_gvae",
        "gvae",
        "beta_tcvae",
        "factor_vae",
        "dip_vae",
      ),
      "latent_size": (10,),
      "seed": (0, 1, 2),
      "vae": {"beta": (1.0, 4.0, 16.0)},
      "beta_tcvae": {"beta": (4.0,)},
      "factor_vae": {"gamma": (10.0,)},
      "dip_vae": {"off_diagonal": (10.0,)},
      "ada_gvae": {"pairs": ("one_factor",)},
      "gvae": {"pairs": ("x+y",), "content": (0.3,), "beta": (4.0,)},
    }
  )
  return config
