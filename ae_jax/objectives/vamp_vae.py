"""The VAE whose prior is a mixture of posteriors."""

import math

import jax
import jax.numpy as jnp

from ae_jax.declarations import objective
from ae_jax.divergences import log_ratio_to_mixture
from ae_jax.objectives.vae import reparameterize
from ae_jax.types import (
  Array,
  Autoencoder,
  Gaussian,
  Key,
  Params,
  Scalar,
  Terms,
)


def _pseudo_inputs(
  model: Autoencoder,
  params: Params,
  key: Key,
  *,
  num_pseudo_inputs: int,
  **_: Scalar,
) -> Params:
  """What the decoder makes of draws of N(0, I) before it is trained."""
  shape = (len(model.latent_mask), num_pseudo_inputs)
  z = jax.random.normal(key, shape).T
  return {"pseudo_inputs": model.mean(model.decode(params, z))}


def _posteriors(model: Autoencoder, params: Params) -> Gaussian:
  """The posterior of each pseudo-input."""
  return model.encode(params, params["objective"]["pseudo_inputs"])


@objective(
  params=_pseudo_inputs,
  prior=_posteriors,
  code="gaussian",
  ranges={"beta": (0.0, math.inf), "num_pseudo_inputs": (1, math.inf)},
)
def vamp_vae(
  model: Autoencoder,
  params: Params,
  key: Key,
  batch: Array,
  *,
  beta: float = 1.0,
  num_pseudo_inputs: int = 64,
) -> tuple[Array, Terms]:
  """`E_q(z|x)[-log p(x|z) + beta (log q(z|x) - log 1/K sum_k q(z|u_k))]`.

  The prior is the posterior of K inputs u_k that are trained with the rest, in
  the units of the data and not bound to their range. The
  expectation is estimated with one sample; at beta = 1 the loss is the negative
  evidence lower bound.

  Args:
    model: q(z|x) as its encoder, p(x|z) as its decoder.
    params: of the model, and `pseudo_inputs` `[K, *features]`.
    key: of the sample z.
    batch: x `[batch, *features]`.
    beta: weight of the divergence, at least 0.
    num_pseudo_inputs: K; the paper has 500.

  Returns:
    The loss in nats, and the terms `reconstruction` and `kl` (unweighted).

  References:
    Tomczak and Welling, "VAE with a VampPrior", 2018, eq. 9.
  """
  del num_pseudo_inputs
  q = model.encode(params, batch)
  z = reparameterize(key, q)
  reconstruction = jnp.mean(model.nll(batch, model.decode(params, z)))
  kl = jnp.mean(log_ratio_to_mixture(z, q, _posteriors(model, params)))
  return reconstruction + beta * kl, {
    "reconstruction": reconstruction,
    "kl": kl,
  }
