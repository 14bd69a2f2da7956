"""Multilayer perceptrons, whose layers can also be used one by one."""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
from flax import linen as nn

from ae_jax import likelihoods, penalties
from ae_jax.likelihoods import LIKELIHOODS
from ae_jax.networks.masked import code_of
from ae_jax.networks.spec import ACTIVATIONS, Spec
from ae_jax.types import Array, Gaussian, Layer, Params


class MLPEncoder(nn.Module):
  """`[n, *features]` -> code `[n, latent]`, or a Gaussian of that shape."""

  spec: Spec
  code_init: Callable[..., Array]

  @nn.compact
  def __call__(self, x: Array) -> Array | Gaussian:
    """Encodes."""
    activation = ACTIVATIONS[self.spec.activation]
    x = x.reshape(x.shape[0], -1)
    for i, width in enumerate(self.spec.widths):
      x = activation(nn.Dense(width, name=f"hidden_{i}")(x))
    return code_of(self.spec, self.code_init, x)


class MLPDecoder(nn.Module):
  """Code `[n, latent]` -> parameters of p(x|z), flattened `[n, size]`."""

  spec: Spec
  latent_init: Callable[..., Array]

  @nn.compact
  def __call__(self, z: Array) -> Array:
    """Decodes."""
    activation = ACTIVATIONS[self.spec.activation]
    likelihood = LIKELIHOODS[self.spec.likelihood]
    num_outputs = math.prod(self.spec.features) * likelihood.size
    sizes = (*reversed(self.spec.widths), num_outputs)
    x = nn.Dense(sizes[0], kernel_init=self.latent_init, name="latent")(z)
    for i, size in enumerate(sizes[1:]):
      x = nn.Dense(size, name=f"hidden_{i}")(activation(x))
    return ACTIVATIONS[likelihood.activation](x)


def code_and_jacobian_norm(
  spec: Spec, encoder: Params, mask: Array, x: Array
) -> tuple[Array, Array]:
  """The code and its Jacobian's norm, in closed form.

  Args:
    spec: of an MLP whose code is an activation or "gaussian".
    encoder: parameters of the encoder.
    mask: `[latent]` of 0/1.
    x: `[n, *features]`.

  Returns:
    The code `[n, latent]`, of a Gaussian its mean, and `||dz/dx||_F^2` `[n]`.
  """
  gaussian = spec.code == "gaussian"
  names = [f"hidden_{i}" for i in range(len(spec.widths))]
  activations = [spec.activation] * len(names)
  names.append("mean" if gaussian else "code")
  activations.append("linear" if gaussian else spec.code)

  x = x.reshape(len(x), -1)
  slopes = []
  for name, activation in zip(names, activations, strict=True):
    x = x @ encoder[name]["kernel"] + encoder[name]["bias"][None]
    x, slope = jax.jvp(ACTIVATIONS[activation], (x,), (jnp.ones_like(x),))
    slopes.append(slope)
  kernels = [encoder[name]["kernel"] for name in names]
  kernels[-1] = kernels[-1] * mask[None]
  return x * mask[None], penalties.contractive_dense(
    kernels, slopes, linear_code=activations[-1] == "linear"
  )


def layers(spec: Spec, mask: Array) -> tuple[Layer, ...]:
  """Each layer of the encoder with its mirror in the decoder.

  Args:
    spec: of an MLP whose code is an activation.
    mask: `[latent]` of 0/1.
  """
  hidden = [f"hidden_{i}" for i in range(len(spec.widths))]
  down, up = [*hidden, "code"], [*reversed(hidden), "latent"]
  activation = ACTIVATIONS[spec.activation]
  likelihood = LIKELIHOODS[spec.likelihood]

  def dense(part: str, name: str, params: Params, h: Array) -> Array:
    layer = params[part][name]
    return h @ layer["kernel"] + layer["bias"][None]

  def layer(k: int) -> Layer:
    is_first, is_code = k == 0, k == len(hidden)

    def encode(params: Params, h: Array) -> Array:
      h = dense("encoder", down[k], params, h)
      if is_code:
        return ACTIVATIONS[spec.code](h) * mask[None]
      return activation(h)

    def decode(params: Params, h: Array) -> Array:
      h = dense("decoder", up[k], params, h)
      if not is_first:
        return activation(h)
      x = ACTIVATIONS[likelihood.activation](h)
      features = (math.prod(spec.features),)
      return x.reshape(len(x), *likelihood.shape(features))

    nll = likelihood.nll if is_first else likelihoods.half_squared_error
    return Layer(encode, decode, nll)

  return tuple(map(layer, range(len(down))))
