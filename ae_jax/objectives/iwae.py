"""The importance weighted autoencoder."""

import math

import jax
import jax.numpy as jnp

from ae_jax.declarations import objective
from ae_jax.divergences import diagonal_gaussian_log_density
from ae_jax.objectives.vae import reparameterize
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
  ranges={"num_samples": (1, math.inf)},
)
def iwae(
  model: Autoencoder,
  params: Params,
  key: Key,
  batch: Array,
  *,
  num_samples: int = 5,
  doubly_reparameterized: bool = False,
) -> tuple[Array, Terms]:
  """`-E[log 1/k sum_i p(x, z_i) / q(z_i|x)]`, z_i ~ q(z|x), over the batch.

  With one sample it is the negative evidence lower bound of `vae`, its
  divergence estimated by the same sample; it falls as k rises.

  Args:
    model: q(z|x) as its encoder, p(x|z) as its decoder.
    params: of the model.
    key: of the samples z.
    batch: x `[batch, *features]`.
    num_samples: k, at least 1.
    doubly_reparameterized: the encoder's gradient by the estimator whose
      signal does not fade as k rises; the loss is the same.

  Returns:
    The loss in nats, up to the constant of d, and the terms
    `reconstruction` and `kl`, each mean over all samples.

  References:
    Burda et al., "Importance Weighted Autoencoders", 2016, eq. 8; Tucker et
    al., "Doubly Reparameterized Gradient Estimators", 2019, eq. 8.
  """
  # p(z) = N(0, I), q(z|x) = N(mean, diag sigma^2)
  q = model.encode(params, batch)
  keys = jax.random.split(key, num_samples) if num_samples > 1 else key[None]
  z = jax.vmap(lambda k: reparameterize(k, q))(keys)  # [k, batch, latent]
  density = jax.lax.stop_gradient(q) if doubly_reparameterized else q
  if doubly_reparameterized:
    z = _weighted_gradient(model, params, batch, z, density)
  reconstruction, kl = _terms(model, params, batch, z, density)
  log_weight = -reconstruction - kl  # [k, batch]
  bound = jax.nn.logsumexp(log_weight, axis=0) - jnp.log(num_samples)
  return -jnp.mean(bound), {
    "reconstruction": jnp.mean(reconstruction),
    "kl": jnp.mean(kl),
  }


def _terms(
  model: Autoencoder, params: Params, x: Array, z: Array, q: Gaussian
) -> tuple[Array, Array]:
  """`-log p(x|z)` and `log q(z|x) - log p(z)`, each `[k, batch]`."""
  prior = jax.tree.map(jnp.zeros_like, q)

  def of_sample(z: Array) -> tuple[Array, Array]:
    ratio = diagonal_gaussian_log_density(z, q) - diagonal_gaussian_log_density(
      z, prior
    )
    return model.nll(x, model.decode(params, z)), ratio

  return jax.vmap(of_sample)(z)


def _weighted_gradient(
  model: Autoencoder, params: Params, x: Array, z: Array, q: Gaussian
) -> Array:
  """z, whose gradient is multiplied by its normalized weight.

  The gradient of the bound by z has the weight once, the estimator twice.
  """
  reconstruction, kl = jax.lax.stop_gradient(_terms(model, params, x, z, q))
  weight = jax.nn.softmax(-reconstruction - kl, axis=0)[..., None]
  return weight * z + jax.lax.stop_gradient((1 - weight) * z)
