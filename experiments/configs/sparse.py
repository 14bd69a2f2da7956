"""The three sparsity penalties on digits, overcomplete, over strength.

    ./launch.sh sweep --config=sparse.py

48 trials in 3 groups, 19 s on 2 CPU cores. As strength goes 0, 0.01, 0.1, 1
(mean of two seeds), the share of active units of `sparse` goes 0.65, 0.51,
0.12, 0 and its test error 0.21, 0.28, 0.94, 4.8. The divergence of `sparse_kl`
goes 53, 4.3, 0.07, 0.01 nats, and its error 0.70, 0.75, 0.95, 1.67: units of a
sigmoid are never 0. The share of `sparse_student_t` goes 0.65, 0.61, 0.52,
0.36.
"""

from ml_collections import ConfigDict

from ae_jax.cli.config import base

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
      "sparse": {"code": ("relu",)},
      "sparse_student_t": {"code": ("relu",)},
    }
  )
  return config
