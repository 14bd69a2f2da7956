"""What labels make of a code, on digits: given to a VAE, or shared by pairs.

./launch.sh sweep --config=labels.py

"""

from ml_collections import ConfigDict

from experiments.config import base


def get_config() -> ConfigDict:
  """Four objectives; the page swaps content and style, and draws each class."""
  config = base()
  config.fixed.num_epochs = 200
  config.fixed.learning_rate = 3e-3
  config.fixed.output = "bernoulli"
  config.measures = ("reconstruction", "features", "likelihood")
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
