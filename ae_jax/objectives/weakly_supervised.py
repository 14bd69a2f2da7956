"""VAEs of pairs of examples that share some of what made them."""

import math

import jax
import jax.numpy as jnp

from ae_jax.codes import content_units
from ae_jax.declarations import objective
from ae_jax.divergences import kl_from_standard_normal, univariate_gaussian_kl
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
  batch="pairs",
  code="gaussian",
  ranges={"beta": (0.0, math.inf)},
)
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
    model: q(z|x) as its encoder, p(x|z) as its decoder.
    params: of the model.
    key: of the samples z.
    batch: x and x', `[batch, 2, *features]`.
    beta: weight of the divergence, at least 0.
    pairs: what the two of a pair share, see `data.supervision.partners`.

  Returns:
    The loss in nats, mean over all examples, and the terms `reconstruction`,
    `kl` (unweighted) and `shared`, the share of units that were averaged.

  References:
    Locatello et al., "Weakly-Supervised Disentanglement Without Compromises",
    2020, eq. 4 to 6.
  """
  del pairs
  x = jnp.concatenate([batch[:, 0], batch[:, 1]])
  q = model.encode(params, x)
  one, other = _halves(q)
  shared = shared_units(one, other, model.latent_mask)
  averaged = _averaged(one, other, shared)
  z = reparameterize(key, averaged)
  reconstruction = jnp.mean(model.nll(x, model.decode(params, z)))
  kl = jnp.mean(kl_from_standard_normal(averaged))
  return reconstruction + beta * kl, {
    "reconstruction": reconstruction,
    "kl": kl,
    "shared": jnp.mean(shared @ model.latent_mask) / jnp.sum(model.latent_mask),
  }


@objective(
  batch="pairs",
  code="gaussian",
  ranges={"beta": (0.0, math.inf), "content": (0.0, 1.0)},
)
def gvae(
  model: Autoencoder,
  params: Params,
  key: Key,
  batch: Array,
  *,
  beta: float = 1.0,
  content: float = 0.5,
  pairs: str = "class",
) -> tuple[Array, Terms]:
  """`vae` of pairs whose codes have a part in common: their content.

  `E_q[d(x, g(c, s)) + d(x', g(c, s'))] + beta (KL_c + KL_s + KL_s')`, halved:
  the content c, the first units, is drawn once for both, from the average of
  the two posteriors in mean and in variance; each has its own style s.

  Args:
    model: q(z|x) as its encoder, p(x|z) as its decoder.
    params: of the model.
    key: of the samples z.
    batch: x and x', `[batch, 2, *features]`.
    beta: weight of the divergences, at least 0.
    content: share of the units that are content, see `content_units`.
    pairs: what the two of a pair share, see `data.supervision.partners`.

  Returns:
    The loss in nats, mean over all examples, and the terms `reconstruction`,
    `content_kl` (of a pair) and `style_kl` (of an example), unweighted.

  References:
    Hosoya, "Group-based Learning of Disentangled Representations with
    Generalizability for Novel Contents", 2019, eq. 3 and 4.
  """
  del pairs
  x = jnp.concatenate([batch[:, 0], batch[:, 1]])
  one, other = _halves(model.encode(params, x))
  is_content = content_units(content, model.latent_mask)[None]
  averaged = _averaged(one, other, jnp.broadcast_to(is_content, one.mean.shape))
  z = reparameterize(key, averaged)
  z = jnp.where(is_content, jnp.concatenate([z[: len(batch)]] * 2), z)
  reconstruction = jnp.mean(model.nll(x, model.decode(params, z)))
  kl = univariate_gaussian_kl(averaged, jax.tree.map(jnp.zeros_like, averaged))
  content_kl = jnp.mean(jnp.sum(kl, axis=1, where=is_content))
  style_kl = jnp.mean(jnp.sum(kl, axis=1, where=~is_content))
  return reconstruction + beta * (content_kl / 2 + style_kl), {
    "reconstruction": reconstruction,
    "content_kl": content_kl,
    "style_kl": style_kl,
  }


def _halves(q: Gaussian) -> tuple[Gaussian, Gaussian]:
  size = len(q.mean) // 2
  return (
    jax.tree.map(lambda field: field[:size], q),
    jax.tree.map(lambda field: field[size:], q),
  )


def _averaged(one: Gaussian, other: Gaussian, shared: Array) -> Gaussian:
  """Both, averaged in mean and variance in the shared units."""
  average = Gaussian(
    (one.mean + other.mean) / 2,
    jnp.logaddexp(one.log_variance, other.log_variance) - math.log(2),
  )
  return jax.tree.map(
    lambda a, b, mean: jnp.concatenate(
      [jnp.where(shared, mean, a), jnp.where(shared, mean, b)]
    ),
    one,
    other,
    average,
  )


def shared_units(one: Gaussian, other: Gaussian, mask: Array) -> Array:
  """Units whose KL divergence is below the middle of the least and greatest.

  `d_j = KL(q(z_j|x) || q(z_j|x')) < (max_i d_i + min_i d_i) / 2`.

  Args:
    one: q(z|x), `[batch, latent]`.
    other: q(z|x').
    mask: `[latent]` of 0/1.

  Returns:
    Booleans `[batch, latent]`.

  References:
    Locatello et al., "Weakly-Supervised Disentanglement Without Compromises",
    2020, section 5.1.
  """
  divergence = univariate_gaussian_kl(one, other)
  valid = jnp.broadcast_to(mask[None] > 0, divergence.shape)
  greatest = jnp.max(divergence, axis=1, keepdims=True, initial=0, where=valid)
  least = jnp.min(
    divergence, axis=1, keepdims=True, initial=jnp.inf, where=valid
  )
  return divergence < (greatest + least) / 2
