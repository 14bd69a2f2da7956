"""The FactorVAE, whose total correlation a second network estimates."""

import math

import jax
import jax.numpy as jnp

from ae_jax.declarations import objective
from ae_jax.divergences import kl_from_standard_normal
from ae_jax.objectives.vae import reparameterize
from ae_jax.types import (
  Array,
  Autoencoder,
  Key,
  Params,
  Scalar,
  Terms,
)

_DEPTH = 3


def _discriminator(
  model: Autoencoder,
  params: Params,
  key: Key,
  *,
  discriminator_width: int,
  **_: Scalar,
) -> Params:
  """Layers from the code to one logit, drawn as those of the networks are."""
  del params
  mask, width = model.latent_mask, discriminator_width
  keys = jax.random.split(key, _DEPTH + 1)
  first = jax.random.normal(keys[0], (len(mask), width)) * mask[:, None]
  kernels = [first / jnp.sqrt(jnp.sum(mask))]
  for layer_key in keys[1:_DEPTH]:
    draw = jax.random.normal(layer_key, (width, width))
    kernels.append(draw / jnp.sqrt(width))
  kernels.append(jax.random.normal(keys[-1], (width, 1)) / jnp.sqrt(width))
  return {
    f"discriminator_{i}": {"kernel": w, "bias": jnp.zeros(w.shape[1])}
    for i, w in enumerate(kernels)
  }


@objective(
  params=_discriminator,
  code="gaussian",
  ranges={"gamma": (0.0, math.inf), "discriminator_width": (1, math.inf)},
)
def factor_vae(
  model: Autoencoder,
  params: Params,
  key: Key,
  batch: Array,
  *,
  gamma: float = 10.0,
  discriminator_width: int = 128,
) -> tuple[Array, Terms]:
  """`vae + gamma * TC(z)`, with `TC = E_q(z)[log D(z) / (1 - D(z))]`.

  The discriminator D, an MLP of three hidden layers, is trained in the same
  step to tell codes z ~ q(z|x) from codes each unit of which comes from another
  example; neither's gradient reaches the other. The paper draws the second
  from a second batch; here they are a second draw of the same one.

  Args:
    model: q(z|x) as its encoder, p(x|z) as its decoder.
    params: of the model, and of the discriminator.
    key: of the samples and permutations.
    batch: x `[batch, *features]`.
    gamma: weight of the total correlation, at least 0.
    discriminator_width: units of each of its hidden layers.

  Returns:
    The loss in nats, that of the discriminator included, and the terms
    `reconstruction`, `kl`, `total_correlation` (unweighted, D's estimate) and
    `discriminator_loss`.

  References:
    Kim and Mnih, "Disentangling by Factorising", 2018, eq. 2 and 3,
    algorithm 1.
  """
  del discriminator_width
  z_key, second_key, permutation_key = jax.random.split(key, 3)
  q = model.encode(params, batch)
  z = reparameterize(z_key, q)
  reconstruction = jnp.mean(model.nll(batch, model.decode(params, z)))
  kl = jnp.mean(kl_from_standard_normal(q))
  discriminator, mask = params["objective"], model.latent_mask[None]
  total_correlation = jnp.mean(
    _logit(jax.lax.stop_gradient(discriminator), z * mask)
  )

  second = reparameterize(second_key, q)
  order = jnp.argsort(jax.random.uniform(permutation_key, z.shape[::-1])).T
  permuted = jnp.take_along_axis(second, order, axis=0)
  of_codes, of_permuted = (
    _logit(discriminator, jax.lax.stop_gradient(codes * mask))
    for codes in (z, permuted)
  )
  discriminator_loss = 0.5 * jnp.mean(
    jax.nn.softplus(-of_codes) + jax.nn.softplus(of_permuted)
  )
  loss = reconstruction + kl + gamma * total_correlation + discriminator_loss
  return loss, {
    "reconstruction": reconstruction,
    "kl": kl,
    "total_correlation": total_correlation,
    "discriminator_loss": discriminator_loss,
  }


def _logit(layers: Params, z: Array) -> Array:
  """The log-odds that a code is drawn from q(z), `[n]`."""
  for i in range(_DEPTH + 1):
    layer = layers[f"discriminator_{i}"]
    z = z @ layer["kernel"] + layer["bias"][None]
    if i < _DEPTH:
      z = jax.nn.leaky_relu(z, 0.2)
  return z[:, 0]
