"""Fashion-MNIST: three objectives over latent sizes, a 784-256-z net.

    ./launch.sh sweep --config=fashion_mnist.py

12 trials in 3 groups, 4.5 minutes on 2 CPU cores, three of them for measuring
(first run: 15 s more to prepare the data). Test error at 8, 32 and 128 units:
PCA 20.86, 11.87, 4.95; autoencoder 14.15, 9.89, 7.45 after 5 epochs.
"""

from ml_collections import ConfigDict

from ae_jax.cli.config import base


def get_config() -> ConfigDict:
  """The plain, the denoising and the sparse autoencoder side by side."""
  config = base()
  config.data.name = "fashion_mnist"
  config.fixed.widths = (256,)
  config.fixed.num_epochs = 5
  config.sweep = ConfigDict(
    {
      "objective": ("autoencoder", "sparse", "denoising"),
      "latent_size": (8, 32, 128),
      "sparse": {"strength": (0.01, 0.1)},
      "denoising": {"noise": (0.05,)},
    }
  )
  return config
