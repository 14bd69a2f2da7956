"""MNIST: convolutional autoencoders of three code sizes.

./launch.sh sweep --config=mnist_conv.py
./launch.sh sweep --config=mnist_conv.py --config.fixed.network=mlp \
      --config.fixed.widths="(512, 256)"

"""

from ml_collections import ConfigDict

from experiments.config import base


def get_config() -> ConfigDict:
  """Two layers of 3x3 kernels with stride 2, then the code."""
  config = base()
  config.data.name = "mnist"
  config.fixed.network = "conv"
  config.fixed.widths = (16, 32)
  config.fixed.num_epochs = 10
  config.fixed.learning_rate = 2e-3
  config.fixed.schedule = "cosine"
  config.fixed.output = "sigmoid"
  config.measures = ("reconstruction", "features")
  config.sweep = ConfigDict(
    {"objective": ("autoencoder",), "latent_size": (8, 16, 32)}
  )
  return config
