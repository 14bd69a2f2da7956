"""A deep autoencoder of MNIST, trained layer by layer and end to end.

./launch.sh sweep --config=layerwise.py
"""

from ml_collections import ConfigDict

from experiments.config import base


def get_config() -> ConfigDict:
  """784-1000-500-250-30 for the same number of updates each."""
  config = base()
  config.data.name = "mnist"
  config.fixed.widths = (1000, 500, 250)
  config.fixed.num_epochs = 20
  config.fixed.learning_rate = 1e-3
  config.fixed.output = "sigmoid"
  config.measures = ("reconstruction",)
  config.sweep = ConfigDict(
    {
      "objective": ("autoencoder", "layerwise"),
      "latent_size": (30,),
      "schedule": ("cosine",),
      "layerwise": {
        "kind": ("plain", "denoising"),
        "stage_schedule": ("linear",),
        "stage_over": (0.5,),
      },
    }
  )
  return config
