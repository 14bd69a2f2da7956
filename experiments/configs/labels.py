"""What labels make of a code, on digits: given to a VAE, or shared by pairs.

    ./launch.sh sweep --config=labels.py

Ten trials, 30 seconds on 2 CPU cores. Of `gvae` at content = 0.5 a logistic
regression on the content names 91 and 92% of the test digits, one on the style
26 and 31%.
"""

from ml_collections import ConfigDict

from ae_jax.cli.config import base


def get_config() -> ConfigDict:
  """Four objectives; the page swaps content and style, and draws each class."""
  config = base()
  config.fixed.num_epochs = 200
  config.fixed.learning_rate = 3e-3
  config.fixed.likelihood = "bernoulli"
  config.metrics = ("reconstruction", "features", "likelihood")
  config.sweep = ConfigDict(
    {
      "objective": ("vae", "conditional_vae", "ada_gvae", "gvae"),
      "latent_size": (8,),
      "seed": (0, 1),
      "ada_gvae": {"pairs": ("class",)},
      "gvae": {"content": (0.5, 0.75)},
    }
  )
  return config
