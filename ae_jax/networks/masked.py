"""The layers next to the code, which may be masked down to a smaller network.

A latent size may be traced: the code is padded to `spec.latent_size` and a
0/1 mask keeps the first units. The padded network is the true network of that
size, its initialization included: random draws are stable along the leading
axis, so what has a latent axis is drawn with that axis first, scaled by the
true size, and zeroed beyond it. Gradients and Adam moments of the padding stay
exactly 0.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from ae_jax.networks.activations import ACTIVATIONS
from ae_jax.networks.spec import Spec
from ae_jax.types import Array, Gaussian, Key, Params, Scalar

HEADS = ("code", "mean", "log_variance")
_lecun_normal = jax.nn.initializers.lecun_normal()
_lecun_normal_transposed = jax.nn.initializers.lecun_normal(
  in_axis=-1, out_axis=-2
)


def latent_columns(mask: Array) -> Callable[..., Array]:
  """Initializes a kernel `[fan_in, latent]`, drawn with latent leading."""

  def init(key: Key, shape: tuple[int, int], dtype: Any) -> Array:
    draw = _lecun_normal_transposed(key, shape[::-1], dtype)
    return draw.T * mask[None]

  return init


def latent_rows(mask: Array, latent_size: Scalar) -> Callable[..., Array]:
  """Initializes a kernel `[latent, fan_out]` whose fan-in is `latent_size`."""

  def init(key: Key, shape: tuple[int, int], dtype: Any) -> Array:
    scale = jnp.sqrt(shape[0] / jnp.asarray(latent_size, dtype))
    return _lecun_normal(key, shape, dtype) * scale * mask[:, None]

  return init


class CodeLayer(nn.Module):
  """The last layer of an encoder: h `[n, units]` -> the code, or a Gaussian."""

  spec: Spec
  mask: Array

  @nn.compact
  def __call__(self, h: Array) -> Array | Gaussian:
    """Encodes."""
    size, init = self.spec.latent_size, latent_columns(self.mask)

    def head(name: str) -> Array:
      return nn.Dense(size, kernel_init=init, name=name)(h)

    if self.spec.code == "gaussian":
      return Gaussian(head("mean"), head("log_variance"))
    return ACTIVATIONS[self.spec.code](head("code"))


class LatentLayer(nn.Module):
  """The first layer of a decoder: the code `[n, latent]` -> `[n, units]`."""

  units: int
  mask: Array
  latent_size: Scalar

  @nn.compact
  def __call__(self, z: Array) -> Array:
    """Decodes."""
    init = latent_rows(self.mask, self.latent_size)
    return nn.Dense(self.units, kernel_init=init, name="latent")(z)


def unpad(params: Params, latent_size: int) -> Params:
  """Cuts masked parameters down to the true network of `latent_size` units.

  Those of the objective stay as they are, see `parameters.unpadded`.
  """
  heads = {
    name: {
      "kernel": p["kernel"][:, :latent_size],
      "bias": p["bias"][:latent_size],
    }
    for name, p in params["encoder"].items()
    if name in HEADS
  }
  first = params["decoder"]["latent"]
  if "kernel" in first:  # tied weights have none
    first = first | {"kernel": first["kernel"][:latent_size]}
  return params | {
    "encoder": params["encoder"] | heads,
    "decoder": params["decoder"] | {"latent": first},
  }
