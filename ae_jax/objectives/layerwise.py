"""Greedy layerwise training: one layer after the other, then all together."""

import functools
import math
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from ae_jax import corruptions, penalties
from ae_jax.declarations import objective
from ae_jax.types import (
  Array,
  Autoencoder,
  Key,
  Layer,
  Params,
  Scalar,
  Terms,
  UsageError,
)

_KINDS = ("plain", "denoising", "sparse", "contractive")


def _is_share(settings: Mapping[str, Any]) -> None:
  """Raises UsageError where masking noise strikes more than all units."""
  kind, strength = settings["kind"], settings["strength"]
  if kind == "denoising" and strength > 1:
    raise UsageError(
      f"strength of kind denoising is a share, at most 1; got {strength}"
    )


@objective(
  check=_is_share,
  ranges={"stage": (0.0, 1.0), "strength": (0.0, math.inf)},
)
def layerwise(
  model: Autoencoder,
  params: Params,
  key: Key,
  batch: Array,
  *,
  stage: float = 1.0,
  strength: float = 0.1,
  kind: str = "plain",
) -> tuple[Array, Terms]:
  """`d(h_k, g_k(f_k(h_k)))` of one layer; from stage 1 on `d(x, g(f(x)))`.

  Each layer of the encoder and its mirror in the decoder are a separate
  autoencoder, on the clean codes `h_k = f_{k-1}(... f_0(x))` of the layers
  below, which do not change. With `stage_schedule="linear"` the L layers are
  trained in turn for equal shares of `stage_over` of the steps, and the whole
  network is fine-tuned in the rest. Adam has one count for all: the first
  twenty steps of a turn are up to several times as large as the learning rate,
  and its momentum carries a layer on for a few steps after its turn. A step
  costs about twice that of `autoencoder`.

  Args:
    model: an MLP with a point code.
    params: of the model.
    key: of the noise.
    batch: x `[batch, *features]`.
    stage: layer `floor(stage L)` is trained, of L; at 1 the whole network.
    strength: of the kind, at least 0: the share of units that masking noise
      strikes ("denoising"), the weight of the L1 penalty ("sparse"), or of
      `||df_k/dh_k||_F^2`, estimated with one probe ("contractive").
    kind: of each layer: "plain", "denoising", "sparse" or "contractive". The
      whole network is fine-tuned plainly.

  Returns:
    The loss in nats, and the terms `reconstruction`, of the whole network, and
    `layer_reconstruction`, of what is trained.

  Raises:
    UsageError: there is no such kind, or the network has no layers.

  References:
    Hinton and Salakhutdinov, "Reducing the Dimensionality of Data with Neural
    Networks", 2006; Bengio et al., "Greedy Layer-Wise Training of Deep
    Networks", 2007; Vincent et al., "Stacked Denoising Autoencoders", 2010.
  """
  if kind not in _KINDS:
    raise UsageError(f"kind is {kind!r}; allowed: {', '.join(_KINDS)}")
  if not model.layers:
    raise UsageError(
      "objective layerwise needs network 'mlp', a code that is an activation,"
      " and data without missing entries"
    )
  z = model.encode(params, batch)
  whole = jnp.mean(model.nll(batch, model.decode(params, z)))
  h = batch.reshape(len(batch), -1)
  losses, errors = [], []
  for k, layer in enumerate(model.layers):
    h = jax.lax.stop_gradient(h)
    layer_key = jax.random.fold_in(key, k)
    loss, error = _of_layer(layer, params, layer_key, h, strength, kind)
    losses.append(loss)
    errors.append(error)
    h = layer.encode(params, h)
  number = len(losses)
  now = jnp.clip(jnp.floor(stage * number), 0, number).astype(jnp.int32)
  return jnp.stack([*losses, whole])[now], {
    "reconstruction": whole,
    "layer_reconstruction": jnp.stack([*errors, whole])[now],
  }


def _of_layer(
  layer: Layer,
  params: Params,
  key: Key,
  h: Array,
  strength: Scalar,
  kind: str,
) -> tuple[Array, Array]:
  """Loss and reconstruction error of one layer."""
  seen = corruptions.masking(key, h, strength) if kind == "denoising" else h
  code = layer.encode(params, seen)
  error = jnp.mean(layer.nll(h, layer.decode(params, code)))
  if kind == "sparse":
    return error + strength * jnp.mean(penalties.l1(code)), error
  if kind == "contractive":
    encode = functools.partial(layer.encode, params)
    _, norm = penalties.hutchinson(encode, key, h, 1)
    return error + strength * jnp.mean(norm), error
  return error, error
