"""Finite scalar quantization: each unit of a code takes a few values."""

import math

import jax.numpy as jnp

from ae_jax import codes
from ae_jax.declarations import objective
from ae_jax.types import Array, Autoencoder, Key, Params, Scalar, Terms


def _levels(
  model: Autoencoder, params: Params, key: Key, *, levels: Scalar
) -> Params:
  """How many values a unit of a trained model takes."""
  del model, params, key
  return {"levels": jnp.asarray(levels, jnp.float32)}


def _rounded(params: Params, z: Array, latent_mask: Array) -> Array:
  """tanh(z) at the nearest of round(state.levels) even steps of [-1, 1]."""
  at = codes.round_to_levels(jnp.tanh(z), params["state"]["levels"])
  return at * latent_mask[None]


def _indices(params: Params, z: Array) -> Array:
  """Of the levels, from 0."""
  return codes.level_indices(z, params["state"]["levels"])


@objective(
  state=_levels,
  select=_rounded,
  indices=_indices,
  code="linear",
  ranges={"levels": (2.0, math.inf)},
)
def fsq(
  model: Autoencoder,
  params: Params,
  key: Key,
  batch: Array,
  *,
  levels: float = 5.0,
) -> tuple[Array, Terms, Params]:
  """`d(x, g(e))`, each unit of e = tanh f(x) rounded to one of L levels.

  The levels are evenly spaced in [-1, 1], both ends included: L^latent codes
  without a codebook to learn. The decoder's gradient goes through the rounding
  to tanh f(x) as it is.

  Args:
    model: the functions f and g, with d = -log p(x|z).
    params: of the model; the levels of a trained one are in its state.
    key: not used; this objective is deterministic.
    batch: x `[batch, *features]`.
    levels: L, at least 2, rounded; the paper has 5 or more.

  Returns:
    The loss in nats, the term `reconstruction`, and the levels as they were.

  References:
    Mentzer et al., "Finite Scalar Quantization: VQ-VAE Made Simple", 2024,
    section 3.1; of an even L its levels are half a step from these.
  """
  del key
  bounded = jnp.tanh(model.dense_code(params, batch))
  e = codes.round_to_levels(bounded, levels) * model.latent_mask[None]
  reconstruction = jnp.mean(model.nll(batch, model.decode(params, e)))
  return reconstruction, {"reconstruction": reconstruction}, params["state"]
