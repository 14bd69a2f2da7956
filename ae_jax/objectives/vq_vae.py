"""The vector-quantized autoencoder."""

import math
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from ae_jax import codes
from ae_jax.declarations import objective
from ae_jax.types import (
  Array,
  Autoencoder,
  Key,
  Params,
  Scalar,
  Terms,
  UsageError,
)


def _codebook(
  model: Autoencoder,
  params: Params,
  key: Key,
  *,
  num_codes: int,
  code_dim: int,
  **_: Scalar,
) -> Params:
  """Vectors drawn uniformly from `[-1, 1]^dim / num_codes`."""
  del model, params
  draw = jax.random.uniform(key, (num_codes, code_dim), minval=-1, maxval=1)
  return {"codebook": draw / num_codes}


def _quantized(params: Params, z: Array, latent_mask: Array) -> Array:
  """Each part of z becomes the nearest row of objective.codebook."""
  quantized = codes.quantize(z, params["objective"]["codebook"])
  return quantized * latent_mask[None]


def _divides(settings: Mapping[str, Any]) -> None:
  """Raises UsageError unless a code is made of whole parts."""
  size, dim = settings["latent_size"], settings["code_dim"]
  if size % dim:
    raise UsageError(f"code_dim must divide latent_size; got {dim} and {size}")


@objective(
  params=_codebook,
  select=_quantized,
  check=_divides,
  code="linear",
  ranges={
    "commitment": (0.0, math.inf),
    "num_codes": (2, math.inf),
    "code_dim": (1, math.inf),
  },
)
def vq_vae(
  model: Autoencoder,
  params: Params,
  key: Key,
  batch: Array,
  *,
  commitment: float = 0.25,
  num_codes: int = 64,
  code_dim: int = 1,
) -> tuple[Array, Terms]:
  """`d(x, g(e)) + ||sg f(x) - e||^2 + commitment * ||f(x) - sg e||^2`.

  e is the code f(x), each part of `code_dim` units replaced by the nearest
  vector of a codebook that is trained; sg stops the gradient. The decoder's
  gradient goes through e to f(x) as it is; so does the metric `jacobian_norm`.

  Args:
    model: the functions f and g, with d = -log p(x|z).
    params: of the model, and the codebook.
    key: not used; this objective is deterministic.
    batch: x `[batch, *features]`.
    commitment: weight of the last term, at least 0.
    num_codes: vectors of the codebook.
    code_dim: units of a vector; it divides the latent size.

  Returns:
    The loss in nats, and the terms `reconstruction`, `penalty` (the second
    term) and `perplexity`: how many vectors the batch uses.

  References:
    van den Oord et al., "Neural Discrete Representation Learning", 2017, eq. 3.
  """
  del key, code_dim
  codebook = params["objective"]["codebook"]
  mask = model.latent_mask
  z = model.dense_code(params, batch)
  index = codes.nearest(z, codebook)
  e = codebook[index].reshape(z.shape) * mask[None]
  decoded = model.decode(params, codes.straight_through(z, e))
  reconstruction = jnp.mean(model.nll(batch, decoded))
  towards_codes, towards_vectors = (
    jnp.mean(jnp.sum(difference**2, axis=-1))
    for difference in (
      jax.lax.stop_gradient(z) - e,
      z - jax.lax.stop_gradient(e),
    )
  )
  loss = reconstruction + towards_codes + commitment * towards_vectors
  valid = mask.reshape(-1, codebook.shape[1])[:, 0]
  return loss, {
    "reconstruction": reconstruction,
    "penalty": towards_codes,
    "perplexity": codes.perplexity(index, num_codes, valid),
  }
