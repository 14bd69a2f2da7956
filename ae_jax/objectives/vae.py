"""The variational autoencoder."""

import math

import jax
import jax.numpy as jnp

from ae_jax.declarations import objective
from ae_jax.divergences import (
  kl_from_standard_normal,
  univariate_gaussian_kl,
)
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
  ranges={"beta": (0.0, math.inf), "free_bits": (0.0, math.inf)},
)
def vae(
  model: Autoencoder,
  params: Params,
  key: Key,
  batch: Array,
  *,
  beta: float = 1.0,
  free_bits: float = 0.0,
) -> tuple[Array, Terms]:
  """`E_q(z|x)[-log p(x|z)] + beta * KL(q(z|x) || p(z))`, over the batch.

  At beta = 1 the loss is the negative evidence lower bound, up to the constant
  of d; the expectation is estimated with one sample.

  With `free_bits` the divergence of each unit, mean over the batch, counts as
  at least that: `beta * sum_j max(free_bits, mean KL_j)`. Below it no unit is
  drawn to the prior, so that none collapses for its first bits.

  Args:
    model: q(z|x) as its encoder, p(x|z) as its decoder.
    params: of the model.
    key: of the sample z.
    batch: x `[batch, *features]`.
    beta: weight of the divergence, at least 0.
    free_bits: lambda, in nats for each unit, at least 0; 0 is the plain VAE.

  Returns:
    The loss in nats, and the terms `reconstruction` and `kl` (unweighted).

  References:
    Kingma and Welling, "Auto-Encoding Variational Bayes", 2014, eq. 10;
    Higgins et al., "beta-VAE", 2017, eq. 4; Kingma et al., "Improving
    Variational Inference with Inverse Autoregressive Flow", 2016, eq. 15 (free
    bits).
  """
  # p(z) = N(0, I), q(z|x) = N(mean, diag sigma^2)
  q = model.encode(params, batch)
  z = reparameterize(key, q)
  reconstruction = model.nll(batch, model.decode(params, z))  # [batch]
  kl = kl_from_standard_normal(q)  # [batch]
  of_units = jnp.mean(univariate_gaussian_kl(q, _standard(q)), axis=0)
  missing = model.latent_mask * jnp.maximum(free_bits - of_units, 0.0)
  loss = jnp.mean(reconstruction + beta * kl)
  loss += jnp.where(free_bits > 0, beta * jnp.sum(missing), 0.0)
  return loss, {
    "reconstruction": jnp.mean(reconstruction),
    "kl": jnp.mean(kl),
  }


def _standard(q: Gaussian) -> Gaussian:
  return Gaussian(jnp.zeros_like(q.mean), jnp.zeros_like(q.mean))


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
