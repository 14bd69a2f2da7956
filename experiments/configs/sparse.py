"""The three sparsity penalties on digits, overcomplete, over strength."""

from ml_collections import ConfigDict

from experiments.config import base

STRENGTHS = (0.0, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0)


def get_config() -> ConfigDict:
  """The penalty falls and the error rises with the strength."""
  config = base()
  config.fixed.num_epochs = 50
  config.fixed.learning_rate = 3e-3
  config.sweep = ConfigDict(
    {
      "objective": ("sparse", "sparse_kl", "sparse_student_t"),
      "latent_size": (96,),
      "strength": STRENGTHS,
      "seed": (0, 1),
    }
  )
  return config
