"""Convolutional networks for images: 3x3, stride 2 a layer."""

import math
from collections.abc import Callable

from flax import linen as nn

from ae_jax.likelihoods import LIKELIHOODS
from ae_jax.networks.masked import code_of
from ae_jax.networks.spec import ACTIVATIONS, Spec
from ae_jax.types import Array, Gaussian


class ConvEncoder(nn.Module):
  """Images `[n, height, width(, channels)]` -> code, or a Gaussian."""

  spec: Spec
  code_init: Callable[..., Array]

  @nn.compact
  def __call__(self, x: Array) -> Array | Gaussian:
    """Encodes."""
    activation = ACTIVATIONS[self.spec.activation]
    if x.ndim == 3:  # images of one channel
      x = x[..., None]
    for i, width in enumerate(self.spec.widths):
      layer = nn.Conv(width, (3, 3), strides=2, name=f"hidden_{i}")
      x = activation(layer(x))
    return code_of(self.spec, self.code_init, x.reshape(x.shape[0], -1))


class ConvDecoder(nn.Module):
  """Code `[n, latent]` -> parameters of p(x|z) `[n, height, width, size]`."""

  spec: Spec
  latent_init: Callable[..., Array]

  @nn.compact
  def __call__(self, z: Array) -> Array:
    """Decodes."""
    activation = ACTIVATIONS[self.spec.activation]
    likelihood = LIKELIHOODS[self.spec.likelihood]
    height, width, channels = (*self.spec.features, 1)[:3]
    sizes = [(height, width)]
    for _ in self.spec.widths:
      height, width = -(-height // 2), -(-width // 2)
      sizes.append((height, width))
    top = (*sizes.pop(), self.spec.widths[-1])
    x = nn.Dense(math.prod(top), kernel_init=self.latent_init, name="latent")(z)
    x = x.reshape(x.shape[0], *top)
    outputs = (*reversed(self.spec.widths[:-1]), channels * likelihood.size)
    for i, output in enumerate(outputs):
      x = nn.ConvTranspose(output, (3, 3), strides=(2, 2), name=f"hidden_{i}")(
        activation(x)
      )
      # An odd side came from rounding up; the last row or column goes.
      rows, columns = sizes.pop()
      x = x[:, :rows, :columns]
    return ACTIVATIONS[likelihood.activation](x)
