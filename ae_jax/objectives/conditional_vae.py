"""The VAE that is conditioned on the class of an example."""

import math

import jax
import jax.numpy as jnp
import numpy as np

from ae_jax.declarations import objective
from ae_jax.divergences import kl_from_standard_normal
from ae_jax.objectives.vae import reparameterize
from ae_jax.types import (
  Array,
  Autoencoder,
  Key,
  Labeled,
  Params,
  Scalar,
  Terms,
  UsageError,
)

_FIRST = {"encoder": "hidden_0", "decoder": "latent"}


def _biases(
  model: Autoencoder,
  params: Params,
  key: Key,
  *,
  num_classes: int,
  **_: Scalar,
) -> Params:
  """A bias of the first layer of both sides for each class."""
  del model, key
  if "hidden_0" not in params["encoder"]:
    raise UsageError(
      "conditional_vae needs a first layer hidden_0: network mlp or conv, with"
      " widths"
    )
  return {
    f"{part}_bias": jnp.zeros((num_classes, len(params[part][layer]["bias"])))
    for part, layer in _FIRST.items()
  }


def condition_on(params: Params, label: Array) -> Params:
  """The parameters of q(z|x, y) and p(x|z, y) for one class y.

  Args:
    params: with `encoder_bias` and `decoder_bias` at "objective", which the
      result leaves out.
    label: `[num_classes]`, one-hot; all 0 where the class is not known.
  """
  conditioned = {k: v for k, v in params.items() if k != "objective"}
  for part, layer in _FIRST.items():
    first = params[part][layer]
    bias = first["bias"] + label @ params["objective"][f"{part}_bias"]
    conditioned[part] = params[part] | {layer: first | {"bias": bias}}
  return conditioned


def classes(params: Params) -> list[int]:
  """The classes that were trained on: the biases of others are still 0."""
  if "objective" not in params:  # of one class already
    return []
  is_trained = np.any(np.asarray(params["objective"]["decoder_bias"]), axis=1)
  return np.flatnonzero(is_trained).tolist()


@objective(
  params=_biases,
  condition=condition_on,
  classes=classes,
  batch="labels",
  code="gaussian",
  ranges={
    "beta": (0.0, math.inf),
    "labeled": (0.0, 1.0),
    "num_classes": (2, math.inf),
  },
)
def conditional_vae(
  model: Autoencoder,
  params: Params,
  key: Key,
  batch: Labeled,
  *,
  beta: float = 1.0,
  labeled: float = 0.8,
  num_classes: int = 10,
) -> tuple[Array, Terms]:
  """`E_q(z|x,y)[-log p(x|z,y)] + beta * KL(q(z|x,y) || p(z))`, over the batch.

  Encoder and decoder read the class y, one-hot, beside their input:
  that is a bias of their first layer for each class. Some examples come
  without it, so that the model can also be used and measured without a class.
  At labeled = 0 it is `vae`.

  Args:
    model: q(z|x) as its encoder, p(x|z) as its decoder.
    params: of the model, and `encoder_bias` and `decoder_bias`, each
      `[num_classes, units]`.
    key: of the samples z, and of which examples come with their class.
    batch: x `[batch, *features]` and y `[batch]`.
    beta: weight of the divergence, at least 0.
    labeled: probability that an example comes with its class.
    num_classes: how many there are; labels are integers below it.

  Returns:
    The loss in nats, and the terms `reconstruction` and `kl` (unweighted).

  Raises:
    UsageError: the network has no hidden layer.

  References:
    Kingma et al., "Semi-supervised Learning with Deep Generative Models", 2014,
    eq. 6; Sohn et al., "Learning Structured Output Representation using Deep
    Conditional Generative Models", 2015.
  """
  z_key, label_key = jax.random.split(key)
  x, label = batch
  share = jnp.asarray(labeled, x.dtype)
  has_label = jax.random.bernoulli(label_key, share, label.shape)
  y = jax.nn.one_hot(label, num_classes, dtype=x.dtype) * has_label[:, None]
  q = jax.vmap(lambda y, x: model.encode(condition_on(params, y), x))(y, x)
  z = reparameterize(z_key, q)
  decoded = jax.vmap(lambda y, z: model.decode(condition_on(params, y), z))(
    y, z
  )
  reconstruction = model.nll(x, decoded)  # [batch]
  kl = kl_from_standard_normal(q)  # [batch]
  return jnp.mean(reconstruction + beta * kl), {
    "reconstruction": jnp.mean(reconstruction),
    "kl": jnp.mean(kl),
  }
