"""A deep autoencoder of MNIST, trained layer by layer and end to end.

    ./launch.sh sweep --config=layerwise.py

Test error after 9,360 updates each, half of a greedy trial's for its layers, 25
minutes on 2 CPU cores: with logistic units, as in 2006, end to end 16.83 (PCA
13.87), layer by layer 7.15; with rectified ones 3.68 and 10.62, whose layers
had lost units for good. Hinton and Salakhutdinov (2006) report 3.00.
"""

from ml_collections import ConfigDict

from ae_jax.cli.config import base


def get_config() -> ConfigDict:
  """784-1000-500-250-30, for the same number of updates each."""
  config = base()
  config.data.name = "mnist"
  config.fixed.widths = (1000, 500, 250)
  config.fixed.num_epochs = 20
  config.fixed.learning_rate = 1e-3
  config.fixed.likelihood = "sigmoid_gaussian"
  config.metrics = ("reconstruction",)
  config.sweep = ConfigDict(
    {
      "objective": ("autoencoder", "layerwise"),
      "latent_size": (30,),
      "schedule": ("cosine",),
      "activation": ("sigmoid", "relu"),
      "layerwise": {
        "kind": ("plain",),
        "stage_schedule": ("linear",),
        "stage_over": (0.5,),
      },
    }
  )
  return config
