"""Convolutional networks for images: 3x3, stride 2 a layer."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from flax import linen as nn

from ae_jax.declarations import network
from ae_jax.networks.activations import ACTIVATIONS
from ae_jax.networks.network import Network
from ae_jax.types import Array, UsageError

if TYPE_CHECKING:
  from ae_jax.networks.spec import Spec


class ConvEncoder(nn.Module):
  """Images `[n, height, width(, channels)]` -> `[n, units]`."""

  spec: Spec

  @nn.compact
  def __call__(self, x: Array) -> Array:
    """Encodes."""
    activation = ACTIVATIONS[self.spec.activation]
    if x.ndim == 3:  # images of one channel
      x = x[..., None]
    for i, width in enumerate(self.spec.widths):
      layer = nn.Conv(width, (3, 3), strides=2, name=f"hidden_{i}")
      x = activation(layer(x))
    return x.reshape(x.shape[0], -1)


class ConvDecoder(nn.Module):
  """`[n, units]` -> `[n, height, width, channels * size]`."""

  spec: Spec

  @nn.compact
  def __call__(self, x: Array) -> Array:
    """Decodes."""
    activation = ACTIVATIONS[self.spec.activation]
    *sizes, top = _sizes(self.spec)
    x = x.reshape(x.shape[0], *top, self.spec.widths[-1])
    num_outputs = self.spec.num_outputs // math.prod(self.spec.features[:2])
    outputs = (*reversed(self.spec.widths[:-1]), num_outputs)
    for i, output in enumerate(outputs):
      x = nn.ConvTranspose(output, (3, 3), strides=(2, 2), name=f"hidden_{i}")(
        activation(x)
      )
      # An odd side came from rounding up; the last row or column goes.
      rows, columns = sizes.pop()
      x = x[:, :rows, :columns]
    return x


_FORWARD = """\
- encode: h = x as `[b, height, width, channels]`; for each i, h = {activation}
  of a convolution with encoder.hidden_i (kernel `[3, 3, inputs, outputs]`,
  stride 2, padding SAME: of the padding the odd row or column goes to the
  end); z = {code_activation}(h, flattened row by row, @ encoder.{code}.kernel +
  encoder.{code}.bias).
- decode: h = z @ decoder.latent.kernel + decoder.latent.bias, in the shape of
  the encoder's last images; for each i, h = transposed convolution of
  {activation}(h) with decoder.hidden_i (kernel `[3, 3, inputs, outputs]`, not
  flipped: `jax.lax.conv_transpose` with stride 2 and padding SAME), cut to the
  size of the encoder's images at that depth; x~ = {mean}, in the shape
  {features}.
"""


@network(convolutions=True, forward=_FORWARD)
def conv(spec: Spec) -> Network:
  """Layers of 3x3 convolutions, `spec.widths` channels, and their mirror.

  Raises:
    UsageError: the data are no images, or there is no width.
  """
  if len(spec.features) not in (2, 3) or not spec.widths:
    raise UsageError(
      "network 'conv' needs images [height, width(, channels)] and at least"
      f" one width; got features {spec.features} and widths {spec.widths}"
    )
  units = math.prod(_sizes(spec)[-1]) * spec.widths[-1]
  return Network(ConvEncoder(spec), ConvDecoder(spec), units)


def _sizes(spec: Spec) -> list[tuple[int, int]]:
  """Height and width of the images and of what each layer makes of them."""
  height, width = spec.features[:2]
  sizes = [(height, width)]
  for _ in spec.widths:
    height, width = -(-height // 2), -(-width // 2)
    sizes.append((height, width))
  return sizes
