"""A VAE on pairs of examples that share most of what made them."""

import jax
import jax.numpy as jnp

from ae_jax.divergences import kl_from_standard_normal, univariate_gaussian_kl
from ae_jax.objectives.vae import reparameterise
from ae_jax.types import (
  Array,
  Autoencoder,
  Gaussian,
  Key,
  Params,
  Terms,
  needs_code,
  needs_pairs,
)


@needs_pairs
@needs_code("gaussian")
def ada_gvae(
  model: Autoencoder,
  params: Params,
  key: Key,
  batch: Array,
  *,
  beta: float = 1.0,
  pairs: str = "one_factor",
) -> tuple[Array, Terms]:
  """`vae` of both examples of a pair, after their codes share what they can.

  Units in which q(z|x) and q(z|x') are alike, see `shared_units`, are taken to
  stand for what the two share: both examples get the average of the two there,
  in mean and in variance.

  Args:
    model: q(z|x) as its encoder, p(x|z) as its decoder and distance.
    params: of the model.
    key: of the samples z.
    batch: x and x', `[batch, 2, *features]`.
    beta: weight of the divergence, at least 0.
    pairs: what the two of a pair share, see `data.pairs.partners`.

  Returns:
    The loss in nats, mean over all examples, and the terms `reconstruction`,
    `kl` (unweighted) and `shared`, the share of units that were averaged.

  References:
    Locatello et al., "Weakly-Supervised Disentanglement Without Compromises",
    2020, eq. 4 to 6, with the averages of GVAE (Hosoya, 2019).
  """
  del pairs
  x = jnp.concatenate([batch[:, 0], batch[:, 1]])
  q = model.encode(params, x)
  one = jax.tree.map(lambda field: field[: len(batch)], q)
  other = jax.tree.map(lambda field: field[len(batch) :], q)
  shared = shared_units(one, other, model.latent_mask)
  average = Gaussian(
    (one.mean + other.mean) / 2,
    jnp.logaddexp(one.log_variance, other.log_variance) - jnp.log(2.0),
  )
  averaged = jax.tree.map(
    lambda own, a: jnp.where(
      jnp.concatenate([shared, shared]), jnp.concatenate([a, a]), own
    ),
    q,
    average,
  )
  z = reparameterise(key, averaged)
  reconstruction = jnp.mean(model.distance(x, model.decode(params, z)))
  kl = jnp.mean(kl_from_standard_normal(averaged))
  return reconstruction + beta * kl, {
    "reconstruction": reconstruction,
    "kl": kl,
    "shared": jnp.mean(shared @ model.latent_mask) / jnp.sum(model.latent_mask),
  }


def shared_units(one: Gaussian, other: Gaussian, mask: Array) -> Array:
  """Units whose KL divergence is below the middle of the least and greatest.

  `d_j = KL(q(z_j|x) || q(z_j|x')) < (max_i d_i + min_i d_i) / 2`.

  Args:
    one: q(z|x), `[batch, latent]`.
    other: q(z|x').
    mask: `[latent]` of 0/1, the units that are there.

  Returns:
    Booleans `[batch, latent]`.

  References:
    Locatello et al., "Weakly-Supervised Disentanglement Without Compromises",
    2020, section 5.1.
  """
  divergence = univariate_gaussian_kl(one, other)
  there = jnp.broadcast_to(mask[None] > 0, divergence.shape)
  greatest = jnp.max(divergence, axis=1, keepdims=True, initial=0, where=there)
  least = jnp.min(
    divergence, axis=1, keepdims=True, initial=jnp.inf, where=there
  )
  return divergence < (greatest + least) / 2
