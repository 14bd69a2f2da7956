"""k-sparse codes of 1,000 units on MNIST: which k makes the best features.

    ./launch.sh sweep --config=k_sparse.py

Five trials, one program, 6 minutes on 2 CPU cores. Accuracy of a linear probe
for k = 10, 25, 40, 70, 100 on all examples (`ae-jax evaluate RUN
--metrics=features --on_all`): 0.938, 0.952, 0.946, 0.937, 0.930 (the pixels
0.921); on the part that a sweep measures 0.930, 0.928, 0.927, 0.904, 0.898
(0.877). Makhzani & Frey (2014) find k = 25 best too.
"""

from ml_collections import ConfigDict

from ae_jax.cli.config import base


def get_config() -> ConfigDict:
  """Five values of k, which is traced: one program."""
  config = base()
  config.data.name = "mnist"
  config.fixed.widths = ()
  config.fixed.num_epochs = 10
  config.fixed.learning_rate = 1e-3
  config.metrics = ("reconstruction", "features")
  config.sweep = ConfigDict(
    {
      "objective": ("k_sparse",),
      "latent_size": (1000,),
      "k_sparse": {"k": (10.0, 25.0, 40.0, 70.0, 100.0)},
    }
  )
  return config
