"""Autoencoders whose codes as a whole are drawn to the prior."""

import math
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from ae_jax.declarations import objective
from ae_jax.divergences import kl_from_standard_normal, squared_mmd
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


def _standard_normal(model: Autoencoder, params: Params) -> Gaussian:
  """N(0, I), the prior of any model, which the codes are drawn to."""
  return model.prior(params)


def _informative(settings: Mapping[str, Any]) -> None:
  """Raises UsageError at a negative weight of the discrepancy."""
  alpha, strength = settings["alpha"], settings["strength"]
  if alpha + strength < 1:
    raise UsageError(
      f"alpha + strength must be at least 1; got {alpha} + {strength}"
    )


@objective(
  code="linear",
  prior=_standard_normal,
  ranges={"strength": (0.0, math.inf)},
)
def wae_mmd(
  model: Autoencoder,
  params: Params,
  key: Key,
  batch: Array,
  *,
  strength: float = 10.0,
) -> tuple[Array, Terms]:
  """`d(x, g(f(x))) + strength * MMD^2(q(z), p(z))`, p(z) = N(0, I).

  Args:
    model: the functions f and g, with d = -log p(x|z).
    params: of the model.
    key: of the sample from the prior.
    batch: x `[batch, *features]`, at least two.
    strength: weight of the discrepancy, at least 0.

  Returns:
    The loss in nats, and the terms `reconstruction` and `penalty` (the squared
    discrepancy, unweighted).

  References:
    Tolstikhin et al., "Wasserstein Auto-Encoders", 2018, algorithm 2.
  """
  z = model.encode(params, batch)
  reconstruction = jnp.mean(model.nll(batch, model.decode(params, z)))
  penalty = _from_prior(model, key, z)
  loss = reconstruction + strength * penalty
  return loss, {"reconstruction": reconstruction, "penalty": penalty}


@objective(
  code="gaussian",
  check=_informative,
  ranges={"alpha": (-math.inf, 1.0), "strength": (0.0, math.inf)},
)
def info_vae(
  model: Autoencoder,
  params: Params,
  key: Key,
  batch: Array,
  *,
  alpha: float = 0.0,
  strength: float = 10.0,
) -> tuple[Array, Terms]:
  """`E_q[-log p(x|z)] + (1 - alpha) KL + (alpha + strength - 1) MMD^2`.

  KL is `KL(q(z|x) || p(z))`, MMD^2 that of q(z) and p(z) = N(0, I). At
  alpha = 0 and strength = 1 it is `vae`.

  Args:
    model: q(z|x) as its encoder, p(x|z) as its decoder.
    params: of the model.
    key: of the samples z and of the prior.
    batch: x `[batch, *features]`, at least two.
    alpha: at most 1; the more, the more information a code may hold about its
      example.
    strength: lambda, with alpha at least 1.

  Returns:
    The loss in nats, and the terms `reconstruction`, `kl` and `penalty` (the
    squared discrepancy, unweighted).

  References:
    Zhao et al., "InfoVAE", 2019, eq. 6 and section 3.
  """
  z_key, prior_key = jax.random.split(key)
  q = model.encode(params, batch)
  z = reparameterize(z_key, q)
  reconstruction = jnp.mean(model.nll(batch, model.decode(params, z)))
  kl = jnp.mean(kl_from_standard_normal(q))
  penalty = _from_prior(model, prior_key, z)
  loss = reconstruction + (1 - alpha) * kl + (alpha + strength - 1) * penalty
  return loss, {"reconstruction": reconstruction, "kl": kl, "penalty": penalty}


def _from_prior(model: Autoencoder, key: Key, z: Array) -> Array:
  """Squared discrepancy of codes `[batch, latent]` and N(0, I)."""
  mask = model.latent_mask[None]
  prior = jax.random.normal(key, z.shape[::-1], z.dtype).T
  # Two draws from N(0, I) are 2 d apart, squared.
  return squared_mmd(z * mask, prior * mask, 2 * jnp.sum(mask))
