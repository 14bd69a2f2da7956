"""An autoencoder as pure functions, from its spec.

Networks are Flax Linen modules; parameters are plain dicts.
"""

import dataclasses
import math
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from ae_jax import codes, penalties
from ae_jax.likelihoods import LIKELIHOODS
from ae_jax.networks import conv, mlp
from ae_jax.networks.masked import latent_columns, latent_rows
from ae_jax.networks.spec import ACTIVATIONS, Spec
from ae_jax.types import (
  Array,
  Autoencoder,
  Gaussian,
  Key,
  Params,
  Scalar,
  UsageError,
)

_NETWORKS: dict[str, tuple[type[nn.Module], type[nn.Module]]] = {
  "mlp": (mlp.MLPEncoder, mlp.MLPDecoder),
  "conv": (conv.ConvEncoder, conv.ConvDecoder),
}


def autoencoder(spec: Spec, latent_size: Scalar | None = None) -> Autoencoder:
  """Builds the pure functions of an autoencoder.

  Args:
    spec: the static shape.
    latent_size: how many of the `spec.latent_size` units are used; may be
      traced. Default: all of them.

  Returns:
    The functions, closed over the mask. `encode` and `decode` raise ValueError
    for arrays whose trailing dimensions are not those of the spec.

  Raises:
    UsageError: a `latent_size` that is not traced is out of range.
  """
  size = spec.latent_size if latent_size is None else latent_size
  if isinstance(size, int) and not 1 <= size <= spec.latent_size:
    raise UsageError(
      f"latent_size must be in 1 ... {spec.latent_size}; got {size}"
    )
  mask = (jnp.arange(spec.latent_size) < size).astype(jnp.float32)
  encoder, decoder = _NETWORKS[spec.network]
  functions = _NetworkFunctions(
    spec,
    mask,
    encoder(spec, latent_columns(mask)),
    decoder(spec, latent_rows(mask, size)),
  )
  likelihood = LIKELIHOODS[spec.likelihood]
  is_layered = spec.network == "mlp" and spec.code in ACTIVATIONS
  return Autoencoder(
    init=functions.init,
    encode=functions.encode,
    dense_code=functions.dense_code,
    encode_and_jacobian_norm=functions.encode_and_jacobian_norm,
    decode=functions.decode,
    nll=likelihood.nll,
    mean=likelihood.mean,
    log_normalizer=math.prod(spec.features) * likelihood.log_normalizer,
    prior=functions.prior,
    layers=mlp.layers(spec, mask) if is_layered else (),
    latent_mask=mask,
  )


@dataclasses.dataclass(frozen=True, eq=False)
class _NetworkFunctions:
  """What the functions of an `Autoencoder` are closed over."""

  spec: Spec
  mask: Array
  encoder: nn.Module
  decoder: nn.Module

  def init(self, key: Key) -> Params:
    encoder_key, decoder_key = jax.random.split(key)
    x = jnp.zeros((1, *self.spec.features))
    z = jnp.zeros((1, self.spec.latent_size))
    return {
      "encoder": self.encoder.init(encoder_key, x)["params"],
      "decoder": self.decoder.init(decoder_key, z)["params"],
    }

  def dense_code(self, params: Params, x: Array) -> Array | Gaussian:
    batch = _leading(x, self.spec.features)
    heads: Any = self.encoder.apply(
      {"params": params["encoder"]}, x.reshape(-1, *self.spec.features)
    )
    return jax.tree.map(
      lambda head: (head * self.mask[None]).reshape(*batch, -1), heads
    )

  def encode(self, params: Params, x: Array) -> Array | Gaussian:
    code = self.dense_code(params, x)
    if isinstance(code, Gaussian) or self.spec.code in ACTIVATIONS:
      return code
    learned, flat = params["objective"], code.reshape(-1, self.spec.latent_size)
    if self.spec.code == "k_sparse":
      flat = codes.top_k(flat, learned["k"], self.mask)
    else:
      flat = codes.quantize(flat, learned["codebook"]) * self.mask[None]
    return flat.reshape(code.shape)

  def encode_and_jacobian_norm(
    self, params: Params, x: Array
  ) -> tuple[Array, Array]:
    spec = self.spec
    batch = _leading(x, spec.features)
    x = x.reshape(-1, *spec.features)

    def point(x: Array) -> Array:
      code = self.encode(params, x)
      return code.mean if isinstance(code, Gaussian) else code

    if spec.network == "mlp" and spec.code in (*ACTIVATIONS, "gaussian"):
      z, norm = mlp.code_and_jacobian_norm(
        spec, params["encoder"], self.mask, x
      )
    else:
      z, norm = point(x), penalties.contractive(point, x)
    return z.reshape(*batch, -1), norm.reshape(batch)

  def decode(self, params: Params, z: Array) -> Array:
    batch = _leading(z, (self.spec.latent_size,))
    flat = z.reshape(-1, self.spec.latent_size) * self.mask[None]
    decoded: Any = self.decoder.apply({"params": params["decoder"]}, flat)
    shape = LIKELIHOODS[self.spec.likelihood].shape(self.spec.features)
    return decoded.reshape(*batch, *shape)

  def prior(self, params: Params) -> Gaussian:
    learned = params.get("objective", {})
    if "pseudo_inputs" in learned:
      posteriors: Any = self.encode(params, learned["pseudo_inputs"])
      return posteriors
    return Gaussian(*2 * (jnp.zeros((1, self.spec.latent_size)),))


def _leading(x: Array, trailing: tuple[int, ...]) -> tuple[int, ...]:
  """The batch dimensions of `x`."""
  num_leading = x.ndim - len(trailing)
  if x.shape[num_leading:] != trailing:
    raise ValueError(f"shape {x.shape} does not end in {trailing}")
  return x.shape[:num_leading]
