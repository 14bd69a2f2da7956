"""VAEs whose aggregate posterior is drawn towards independent units."""

import math

import jax
import jax.numpy as jnp

from ae_jax.declarations import objective
from ae_jax.divergences import (
  kl_from_standard_normal,
  univariate_gaussian_log_density,
)
from ae_jax.objectives.vae import reparameterize
from ae_jax.types import (
  Array,
  Autoencoder,
  Gaussian,
  Key,
  Params,
  Terms,
  UsageError,
)

_KINDS = ("I", "II")


@objective(
  code="gaussian",
  ranges={"strength": (0.0, math.inf), "capacity": (0.0, math.inf)},
)
def capacity_vae(
  model: Autoencoder,
  params: Params,
  key: Key,
  batch: Array,
  *,
  strength: float = 30.0,
  capacity: float = 10.0,
) -> tuple[Array, Terms]:
  """`E_q[-log p(x|z)] + strength * |KL(q(z|x) || p(z)) - capacity|`.

  The paper lets the capacity rise from 0, here by `capacity_schedule="linear"`.
  At capacity 0 it is `vae` with beta = strength.

  Args:
    model: q(z|x) as its encoder, p(x|z) as its decoder.
    params: of the model.
    key: of the sample z.
    batch: x `[batch, *features]`.
    strength: the paper's gamma, at least 0.
    capacity: C in nats, of the divergence's mean over the batch; at least 0.

  Returns:
    The loss in nats, and the terms `reconstruction` and `kl` (unweighted).

  References:
    Burgess et al., "Understanding disentangling in beta-VAE", 2018, eq. 8.
  """
  q = model.encode(params, batch)
  z = reparameterize(key, q)
  reconstruction = jnp.mean(model.nll(batch, model.decode(params, z)))
  kl = jnp.mean(kl_from_standard_normal(q))
  loss = reconstruction + strength * jnp.abs(kl - capacity)
  return loss, {"reconstruction": reconstruction, "kl": kl}


@objective(
  code="gaussian",
  ranges={
    "beta": (0.0, math.inf),
    "information_weight": (0.0, math.inf),
    "unit_weight": (0.0, math.inf),
  },
)
def beta_tcvae(
  model: Autoencoder,
  params: Params,
  key: Key,
  batch: Array,
  *,
  beta: float = 6.0,
  information_weight: float = 1.0,
  unit_weight: float = 1.0,
) -> tuple[Array, Terms]:
  """`E_q[-log p(x|z)] + a I(z; x) + beta TC(z) + g sum_j KL(q(z_j) || p(z_j))`.

  The divergence of `vae`, in three parts: the information that a code holds
  about its example, the total correlation of the units, and the divergence of
  each unit. Their sum has a closed form, which takes the place of as much of
  the estimates as it can: the loss is `E_q[-log p(x|z)] + KL(q(z|x) || p(z))
  + (a - 1) I + (beta - 1) TC + (g - 1) sum_j KL_j`. It has the same expectation
  with less noise: at a = g = 1 of the total correlation alone, and with all
  weights 1 it is `vae`.

  The density of the aggregate posterior q(z) is estimated as the mean of
  q(z|x_j) over the batch; the paper's minibatch weighting differs by a
  constant, with the same gradient. The three estimates are biased: the
  information is at most log batch, whatever the code holds, and what it lacks
  is found in the other two: of 10 independent units of posterior variance 0.1,
  in a batch of 64, the total correlation is 7.0 in the place of 0. Compare them
  between runs of one batch size alone.

  Args:
    model: q(z|x) as its encoder, p(x|z) as its decoder.
    params: of the model.
    key: of the sample z.
    batch: x `[batch, *features]`.
    beta: weight of the total correlation, at least 0.
    information_weight: a, at least 0.
    unit_weight: g, at least 0.

  Returns:
    The loss in nats, and the terms `reconstruction` and `kl`, `information`,
    `total_correlation` and `unit_kl` (unweighted, in nats).

  References:
    Chen et al., "Isolating Sources of Disentanglement in Variational
    Autoencoders", 2018, eq. 2 and 4; the closed form as in Locatello et al.,
    "Challenging Common Assumptions in the Unsupervised Learning of Disentangled
    Representations", 2019.
  """
  q = model.encode(params, batch)
  z = reparameterize(key, q)
  reconstruction = jnp.mean(model.nll(batch, model.decode(params, z)))
  kl = jnp.mean(kl_from_standard_normal(q))
  information, total_correlation, unit_kl = _decomposition(
    model.latent_mask, q, z
  )
  loss = (
    reconstruction
    + kl
    + (information_weight - 1) * information
    + (beta - 1) * total_correlation
    + (unit_weight - 1) * unit_kl
  )
  return loss, {
    "reconstruction": reconstruction,
    "kl": kl,
    "information": information,
    "total_correlation": total_correlation,
    "unit_kl": unit_kl,
  }


def _decomposition(
  latent_mask: Array, q: Gaussian, z: Array
) -> tuple[Array, Array, Array]:
  """Estimates of I(z; x), TC(z) and sum_j KL(q(z_j) || p(z_j)), in nats."""
  mask = latent_mask[None]
  # log q(z_ij | x_k), [i, k, j]; exactly 0 in masked units.
  pairwise = mask[None] * univariate_gaussian_log_density(
    z[:, None], jax.tree.map(lambda field: field[None], q)
  )
  log_batch = jnp.log(len(z))
  log_q_given_x = jnp.einsum("iij->i", pairwise)
  log_q = jax.nn.logsumexp(jnp.sum(pairwise, axis=-1), axis=1) - log_batch
  log_q_units = jnp.sum(
    mask * (jax.nn.logsumexp(pairwise, axis=1) - log_batch), axis=-1
  )
  standard = Gaussian(jnp.zeros_like(z), jnp.zeros_like(z))
  log_p = jnp.sum(mask * univariate_gaussian_log_density(z, standard), axis=-1)
  return (
    jnp.mean(log_q_given_x - log_q),
    jnp.mean(log_q - log_q_units),
    jnp.mean(log_q_units - log_p),
  )


@objective(
  code="gaussian",
  ranges={"off_diagonal": (0.0, math.inf), "diagonal": (0.0, math.inf)},
)
def dip_vae(
  model: Autoencoder,
  params: Params,
  key: Key,
  batch: Array,
  *,
  off_diagonal: float = 10.0,
  diagonal: float = 100.0,
  kind: str = "I",
) -> tuple[Array, Terms]:
  """`vae + a sum_{i != j} C_ij^2 + b sum_i (C_ii - 1)^2`.

  C is the covariance of the codes over the batch: of their means in kind I; of
  the codes themselves, `Cov[mean] + E[diag sigma^2]`, in kind II.

  Args:
    model: q(z|x) as its encoder, p(x|z) as its decoder.
    params: of the model.
    key: of the sample z.
    batch: x `[batch, *features]`.
    off_diagonal: a, at least 0.
    diagonal: b, at least 0; the paper has 10 a in kind I, as here by default,
      and a in kind II.
    kind: "I" or "II".

  Returns:
    The loss in nats, and the terms `reconstruction`, `kl` and `penalty` (with
    its two weights).

  Raises:
    UsageError: there is no such kind.

  References:
    Kumar et al., "Variational Inference of Disentangled Latent Concepts from
    Unlabeled Observations", 2018, eq. 5 to 7.
  """
  if kind not in _KINDS:
    raise UsageError(f"kind is {kind!r}; allowed: {', '.join(_KINDS)}")
  q = model.encode(params, batch)
  z = reparameterize(key, q)
  reconstruction = jnp.mean(model.nll(batch, model.decode(params, z)))
  kl = jnp.mean(kl_from_standard_normal(q))
  centered = q.mean - jnp.mean(q.mean, axis=0, keepdims=True)
  covariance = centered.T @ centered / len(batch)
  variances = jnp.diagonal(covariance)
  if kind == "II":
    variances += jnp.mean(jnp.exp(q.log_variance), axis=0)
  off = jnp.sum(covariance**2) - jnp.sum(jnp.diagonal(covariance) ** 2)
  on = jnp.sum(model.latent_mask * (variances - 1) ** 2)
  penalty = off_diagonal * off + diagonal * on
  return reconstruction + kl + penalty, {
    "reconstruction": reconstruction,
    "kl": kl,
    "penalty": penalty,
  }
