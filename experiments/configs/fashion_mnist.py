"""Fashion-MNIST: three objectives over latent sizes, a 784-256-z net."""

from ml_collections import ConfigDict

from experiments.config import base


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
