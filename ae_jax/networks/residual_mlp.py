"""A multilayer perceptron with residual blocks and dropout."""

from __future__ import annotations

from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
from flax import linen as nn

from ae_jax.declarations import network
from ae_jax.networks.activations import ACTIVATIONS
from ae_jax.networks.network import Network
from ae_jax.types import Array, Key, Scalar, UsageError

if TYPE_CHECKING:
  from ae_jax.networks.spec import Spec


def drop(key: Key, x: Array, rate: Scalar) -> Array:
  """Dropout: sets numbers to 0 and scales the others by `1 / (1 - rate)`.

  Args:
    key: consumed.
    x: `[n, units]`.
    rate: probability of 0, in [0, 1); may be traced.

  References:
    Srivastava et al., "Dropout: A Simple Way to Prevent Neural Networks from
    Overfitting", 2014, section 4 (here scaled in training).
  """
  keep = 1 - jnp.asarray(rate, x.dtype)
  return jnp.where(jax.random.bernoulli(key, keep, x.shape), x / keep, 0)


class Block(nn.Module):
  """`x + W_2 drop(a(W_1 norm(x)))`."""

  spec: Spec
  dropout: Scalar

  @nn.compact
  def __call__(self, x: Array) -> Array:
    """Applies the block."""
    h = nn.LayerNorm(name="norm")(x)
    h = nn.Dense(x.shape[-1], name="first")(h)
    h = ACTIVATIONS[self.spec.activation](h)
    if self.has_rng("dropout"):
      h = drop(self.make_rng("dropout"), h, self.dropout)
    return x + nn.Dense(x.shape[-1], name="second")(h)


class Encoder(nn.Module):
  """`[n, *features]` -> `[n, width]`."""

  spec: Spec
  blocks: int
  dropout: Scalar

  @nn.compact
  def __call__(self, x: Array) -> Array:
    """Encodes."""
    h = nn.Dense(self.spec.widths[0], name="first")(x.reshape(x.shape[0], -1))
    for i in range(self.blocks):
      h = Block(self.spec, self.dropout, name=f"block_{i}")(h)
    return h


class Decoder(nn.Module):
  """`[n, width]` -> `[n, num_outputs]`."""

  spec: Spec
  blocks: int
  dropout: Scalar

  @nn.compact
  def __call__(self, h: Array) -> Array:
    """Decodes."""
    for i in range(self.blocks):
      h = Block(self.spec, self.dropout, name=f"block_{i}")(h)
    return nn.Dense(self.spec.num_outputs, name="last")(h)


_FORWARD = """\
- encode: h = x, flattened row by row, @ encoder.first.kernel +
  encoder.first.bias; for each block, h = h + second({activation}(first(
  norm(h)))), where norm is a layer normalization (eps 1e-6) with scale and
  bias, first and second are dense; z = {code_activation}(h @
  encoder.{code}.kernel + encoder.{code}.bias).
- decode: h = z @ decoder.latent.kernel + decoder.latent.bias; for each block as
  above; h = h @ decoder.last.kernel + decoder.last.bias; x~ = {mean}, in the
  shape {features}.
"""


@network(ranges={"dropout": (0.0, 0.95), "blocks": (1, 64)}, forward=_FORWARD)
def residual_mlp(
  spec: Spec, *, blocks: int = 2, dropout: float = 0.0
) -> Network:
  """`blocks` residual blocks of one width on each side of the code.

  A block is `x + W_2 drop(a(W_1 norm(x)))`: layer normalization, a hidden
  layer of the same width, activation, dropout.

  Args:
    spec: its `widths` are one number, the width.
    blocks: on each side.
    dropout: probability that a hidden unit is 0 in training, below 1.

  Raises:
    UsageError: there is not one width.

  References:
    He et al., "Identity Mappings in Deep Residual Networks", 2016 (the order of
    normalization, activation and sum); Srivastava et al., "Dropout", 2014.
  """
  if len(spec.widths) != 1:
    raise UsageError(
      f"network 'residual_mlp' needs one width, got widths {spec.widths}"
    )
  return Network(
    Encoder(spec, blocks, dropout),
    Decoder(spec, blocks, dropout),
    spec.widths[0],
  )
