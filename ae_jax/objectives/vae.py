"""The variational autoencoder."""

import math

import jax
import jax.numpy as jnp

from ae_jax.declarations import objective
from ae_jax.divergences import kl_from_standard_normal
from ae_jax.types import (
  Array,
  Autoencoder,
  Gaussian,
  Key,
  Params,
  Terms,
)


@objective(
  code="gaussian",
  ranges={"beta": (0.0, math.inf)},
)
def vae(
  model: Autoencoder,
  params: Params,
  key: Key,
  batch: Array,
  *,
  beta: float = 1.0,
) -> tuple[Array, Terms]:
  """`E_q(z|x)[-log p(x|z)] + beta * KL(q(z|x) || p(z))`, over the batch.

  At beta = 1 the loss is the negative evidence lower bound, up to the constant
  of d; the expectation is estimated with one sample.

  Args:
    model: q(z|x) as its encoder, p(x|z) as its decoder.
    params: of the model.
    key: of the sample z.
    batch: x `[batch, *features]`.
    beta: weight of the divergence, at least 0.

  Returns:
    The loss in nats, and the terms `reconstruction` and `kl` (unweighted).

  References:
    Kingma and Welling, "Auto-Encoding Variational Bayes", 2014, eq. 10;
    Higgins et al., "beta-VAE", 2017, eq. 4.
  """
  # p(z) = N(0, I), q(z|x) = N(mean, diag sigma^2)
  q = model.encode(params, batch)
  z = reparameterize(key, q)
  reconstruction = model.nll(batch, model.decode(params, z))  # [batch]
  kl = kl_from_standard_normal(q)  # [batch]
  loss = jnp.mean(reconstruction + beta * kl)
  return loss, {
    "reconstruction": jnp.mean(reconstruction),
    "kl": jnp.mean(kl),
  }


def reparameterize(key: Key, q: Gaussian) -> Array:
  """Draws `z = mean + sigma * e`, e ~ N(0, I), differentiable in q.

  The noise is drawn with the latent axis first: a smaller latent size sees the
  same noise in the units that it has.

  Args:
    key: consumed.
    q: mean and log-variance, each `[batch, latent]`.

  Returns:
    `[batch, latent]`.
  """
  noise = jax.random.normal(key, q.mean.shape[::-1], q.mean.dtype).T
  return q.mean + jnp.exp(0.5 * q.log_variance) * noise
