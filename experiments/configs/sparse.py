"""The three sparsity penalties on digits, overcomplete, over strength.

    ./launch.sh sweep --config=sparse.py

48 trials in 3 groups, 19 s on 2 CPU cores. As strength goes 0, 0.01, 0.1, 1
(mean of two seeds), sum |z| goes 38, 8.3, 1.6, 0.04 and the test error of
`sparse` 0.15, 0.15, 0.53, 4.8; the best, 0.140, is at strength 0.001. The
divergence of `sparse_kl` goes 53, 4.2, 0.08, 0.01 nats; the penalty of
`sparse_student_t` 19, 2.3, 0.44, 0.06.
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
    }
  )
  return config
