"""Multilayer perceptrons, whose layers can also be used one by one."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
from flax import linen as nn

from ae_jax import likelihoods, penalties
from ae_jax.declarations import network
from ae_jax.likelihoods import Likelihood
from ae_jax.networks.activations import ACTIVATIONS
from ae_jax.networks.network import Network
from ae_jax.types import Array, Layer, Params, UsageError

if TYPE_CHECKING:
  from ae_jax.networks.spec import Spec


class MLPEncoder(nn.Module):
  """`[n, *features]` -> `[n, units]`."""

  spec: Spec

  @nn.compact
  def __call__(self, x: Array) -> Array:
    """Encodes."""
    activation = ACTIVATIONS[self.spec.activation]
    x = x.reshape(x.shape[0], -1)
    for i, width in enumerate(self.spec.widths):
      x = activation(nn.Dense(width, name=f"hidden_{i}")(x))
    return x


class MLPDecoder(nn.Module):
  """`[n, units]`, before the activation -> `[n, num_outputs]`."""

  spec: Spec

  @nn.compact
  def __call__(self, x: Array) -> Array:
    """Decodes."""
    activation = ACTIVATIONS[self.spec.activation]
    sizes = (*reversed(self.spec.widths), self.spec.num_outputs)
    for i, size in enumerate(sizes[1:]):
      x = nn.Dense(size, name=f"hidden_{i}")(activation(x))
    return x


_FORWARD = """\
- encode: h = x, flattened row by row; for each i, h = {activation}(h @
  encoder.hidden_i.kernel + encoder.hidden_i.bias); z = {code_activation}(h @
  encoder.{code}.kernel + encoder.{code}.bias).
- decode: h = z @ decoder.latent.kernel + decoder.latent.bias; for each i, h =
  {activation}(h) @ decoder.hidden_i.kernel + decoder.hidden_i.bias; x~ =
  {mean}, in the shape {features}.
"""


@network(forward=_FORWARD)
def mlp(spec: Spec, *, tied: bool = False) -> Network:
  """Dense layers of `spec.widths` units, and their mirror.

  Args:
    spec: without widths it is linear.
    tied: whether the kernels of the decoder are the transposes of the
      encoder's; its biases are its own.

  Raises:
    UsageError: the weights are to be tied, and a feature has several outputs.

  References:
    Vincent et al., "Stacked Denoising Autoencoders", 2010, section 2.2 (tied
    weights).
  """
  if tied and spec.num_outputs != spec.num_features:
    raise UsageError(
      "tied weights need a likelihood of one number for each feature; got"
      f" {spec.num_outputs} for {spec.num_features}"
    )
  return Network(
    MLPEncoder(spec),
    MLPDecoder(spec),
    (*reversed(spec.widths), spec.num_outputs)[0],
    tie=functools.partial(_with_transposes, spec) if tied else None,
    code_and_jacobian_norm=functools.partial(code_and_jacobian_norm, spec),
    layers=functools.partial(layers, spec, tied),
  )


def _mirror(spec: Spec) -> list[tuple[str, str]]:
  """Names of the encoder's layers, each with its mirror in the decoder."""
  hidden = [f"hidden_{i}" for i in range(len(spec.widths))]
  head = "mean" if spec.code == "gaussian" else "code"
  return [*zip([*hidden, head], [*reversed(hidden), "latent"], strict=True)]


def _with_transposes(spec: Spec, encoder: Params, decoder: Params) -> Params:
  """The decoder's parameters with the encoder's kernels, transposed."""
  return decoder | {
    up: decoder[up] | {"kernel": encoder[down]["kernel"].T}
    for down, up in _mirror(spec)
  }


def code_and_jacobian_norm(
  spec: Spec, encoder: Params, mask: Array, x: Array
) -> tuple[Array, Array]:
  """The code and its Jacobian's norm, in closed form.

  Args:
    spec: of an MLP.
    encoder: parameters of the encoder.
    mask: `[latent]` of 0/1.
    x: `[n, *features]`.

  Returns:
    The code `[n, latent]`, of a Gaussian its mean, and `||dz/dx||_F^2` `[n]`.
  """
  names = [down for down, _ in _mirror(spec)]
  code = "linear" if spec.code == "gaussian" else spec.code
  activations = [*[spec.activation] * len(spec.widths), code]

  x = x.reshape(len(x), -1)
  slopes = []
  for name, activation in zip(names, activations, strict=True):
    x = x @ encoder[name]["kernel"] + encoder[name]["bias"][None]
    x, slope = jax.jvp(ACTIVATIONS[activation], (x,), (jnp.ones_like(x),))
    slopes.append(slope)
  kernels = [encoder[name]["kernel"] for name in names]
  kernels[-1] = kernels[-1] * mask[None]
  return x * mask[None], penalties.contractive_dense(
    kernels, slopes, linear_code=code == "linear"
  )


def layers(
  spec: Spec, tied: bool, mask: Array, likelihood: Likelihood
) -> tuple[Layer, ...]:
  """Each layer of the encoder with its mirror in the decoder.

  Args:
    spec: of an MLP whose code is an activation.
    tied: whether the decoder has the encoder's kernels.
    mask: `[latent]` of 0/1.
    likelihood: p(x|z).
  """
  activation = ACTIVATIONS[spec.activation]

  def layer(k: int, down: str, up: str) -> Layer:
    is_first, is_code = k == 0, k == len(spec.widths)

    def encode(params: Params, h: Array) -> Array:
      dense = params["encoder"][down]
      h = h @ dense["kernel"] + dense["bias"][None]
      return (
        ACTIVATIONS[spec.code](h) * mask[None] if is_code else activation(h)
      )

    def decode(params: Params, h: Array) -> Array:
      decoder = params["decoder"]
      if tied:
        decoder = _with_transposes(spec, params["encoder"], decoder)
      h = h @ decoder[up]["kernel"] + decoder[up]["bias"][None]
      if not is_first:
        return activation(h)
      x = ACTIVATIONS[likelihood.declaration.activation](h)
      return likelihood.decoded(params, x, (spec.num_features,))

    nll = likelihood.nll if is_first else likelihoods.half_squared_error
    return Layer(encode, decode, nll)

  return tuple(layer(k, *names) for k, names in enumerate(_mirror(spec)))
