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
_OWN = ("objective", "state")


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


def _nothing_seen(
  model: Autoencoder,
  params: Params,
  key: Key,
  *,
  num_classes: int,
  **_: Scalar,
) -> Params:
  """Whether examples of each class were seen, and, last, some without one."""
  del model, params, key
  return {"seen": jnp.zeros(num_classes + 1)}


def _with_biases(params: Params, label: Array) -> Params:
  """The parameters of q(z|x, y) and p(x|z, y) for one class y, or none, -1."""
  conditioned = {k: v for k, v in params.items() if k not in _OWN}
  for part, layer in _FIRST.items():
    first, biases = params[part][layer], params["objective"][f"{part}_bias"]
    one_hot = jax.nn.one_hot(label, len(biases), dtype=biases.dtype)
    bias = first["bias"] + one_hot @ biases
    conditioned[part] = params[part] | {layer: first | {"bias": bias}}
  return conditioned


def condition_on(params: Params, label: Array) -> Params:
  """The parameters of q(z|x, y) and p(x|z, y) for one class y.

  Args:
    params: with `objective` and `state`, which the result leaves out.
    label: of the class; -1 where it is not known. A class that was not trained
      on has no bias: it is as if it were not known.

  Returns:
    Parameters of an autoencoder; with NaN in them where no such example was
    trained on.
  """
  conditioned = _with_biases(params, label)
  seen = jnp.asarray(params["state"]["seen"])
  seen = jnp.maximum(seen[label], seen[-1])  # -1 is the last one
  for part, layer in _FIRST.items():
    first = conditioned[part][layer]
    bias = first["bias"] + jnp.where(seen > 0, 0.0, jnp.nan)
    conditioned[part] = conditioned[part] | {layer: first | {"bias": bias}}
  return conditioned


def classes(params: Params) -> list[int | None]:
  """Those that were trained on, and None if also examples without one."""
  if "state" not in params:  # of one class already
    return []
  *seen, without = np.asarray(params["state"]["seen"]) > 0
  return [*np.flatnonzero(seen).tolist(), *([None] if without else [])]


@objective(
  params=_biases,
  state=_nothing_seen,
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
) -> tuple[Array, Terms, Params]:
  """`E_q(z|x,y)[-log p(x|z,y)] + beta * KL(q(z|x,y) || p(z))`, over the batch.

  Encoder and decoder read the class y, one-hot, beside their input:
  that is a bias of their first layer for each class. Some examples come
  without it, so that the model can also be used without a class; not at
  labeled = 1. At labeled = 0 it is `vae`. Metrics give the model the classes
  of the data, but for those that compare codes with classes.

  Args:
    model: q(z|x) as its encoder, p(x|z) as its decoder.
    params: of the model, and `encoder_bias` and `decoder_bias`, each
      `[num_classes, units]`; which classes were seen is its state.
    key: of the samples z, and of which examples come with their class.
    batch: x `[batch, *features]` and y `[batch]`.
    beta: weight of the divergence, at least 0.
    labeled: probability that an example comes with its class.
    num_classes: how many there are; labels are integers below it.

  Returns:
    The loss in nats, the terms `reconstruction` and `kl` (unweighted), and the
    next state.

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
  y = jnp.where(has_label, label, -1)
  q = jax.vmap(lambda y, x: model.encode(_with_biases(params, y), x))(y, x)
  z = reparameterize(z_key, q)
  decoded = jax.vmap(lambda y, z: model.decode(_with_biases(params, y), z))(
    y, z
  )
  reconstruction = model.nll(x, decoded)  # [batch]
  kl = kl_from_standard_normal(q)  # [batch]
  terms = {"reconstruction": jnp.mean(reconstruction), "kl": jnp.mean(kl)}
  seen = jnp.asarray(params["state"]["seen"]).at[y].set(1.0)
  return jnp.mean(reconstruction + beta * kl), terms, {"seen": seen}
