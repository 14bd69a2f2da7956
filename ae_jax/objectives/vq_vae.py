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

_DEAD = 0.1  # of the mean use of a vector: less is replaced
_TINY = 1e-30  # no vector is divided by 0


def _codebook(
  model: Autoencoder,
  params: Params,
  key: Key,
  *,
  num_codes: int,
  code_dim: int,
  **_: Scalar,
) -> Params:
  """The codebook and how often its vectors are used: never, so far."""
  del model, params
  return {
    "codebook": jax.random.normal(key, (num_codes, code_dim)),
    "count": jnp.zeros(num_codes),
  }


def _quantized(params: Params, z: Array, latent_mask: Array) -> Array:
  """Each part of z becomes the nearest row of state.codebook."""
  quantized = codes.quantize(z, params["state"]["codebook"])
  return quantized * latent_mask[None]


def _indices(params: Params, z: Array) -> Array:
  """Of the vectors."""
  return codes.nearest(z, params["state"]["codebook"])


def _divides(settings: Mapping[str, Any]) -> None:
  """Raises UsageError unless a code is made of whole parts."""
  size, dim = settings["latent_size"], settings["code_dim"]
  if size % dim:
    raise UsageError(f"code_dim must divide latent_size; got {dim} and {size}")


@objective(
  state=_codebook,
  select=_quantized,
  indices=_indices,
  check=_divides,
  code="linear",
  ranges={
    "commitment": (0.0, math.inf),
    "decay": (0.0, 1.0),
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
  decay: float = 0.95,
  num_codes: int = 64,
  code_dim: int = 1,
) -> tuple[Array, Terms, Params]:
  """`d(x, g(e)) + commitment * ||f(x) - sg e||^2`.

  e is the code f(x), each part of `code_dim` units replaced by the nearest of
  `num_codes` vectors; sg stops the gradient. The decoder's gradient goes
  through e to f(x) as it is; so does the metric `jacobian_norm`.

  The vectors are no parameters: each is the running mean of the parts that it
  stood for. Those that stand for less than a tenth of a fair share of the
  parts, which before the first step is all, start again from parts of the
  batch.

  Args:
    model: the functions f and g, with d = -log p(x|z).
    params: of the model; the codebook is in its state.
    key: of the parts from which vectors start.
    batch: x `[batch, *features]`.
    commitment: weight of the second term, at least 0.
    decay: of the running means, for each step, in [0, 1]; the paper has 0.99,
      for epochs of more steps.
    num_codes: vectors of the codebook.
    code_dim: units of a vector; it divides the latent size.

  Returns:
    The loss, `reconstruction` in nats, the terms `reconstruction`, `penalty`
    (unweighted) and `perplexity` (how many vectors the batch uses), and the
    next codebook.

  References:
    van den Oord et al., "Neural Discrete Representation Learning", 2017, eq. 3
    and appendix A.1; Razavi et al., "Generating Diverse High-Fidelity Images
    with VQ-VAE-2", 2019, eq. 2; Dhariwal et al., "Jukebox", 2020, section 3.1
    (vectors start again).
  """
  z = model.dense_code(params, batch)
  parts = jax.lax.stop_gradient(z).reshape(len(z), -1, code_dim)
  weights = model.latent_mask[::code_dim]
  state = _restarted(key, params["state"], parts, weights)
  index = codes.nearest(z, state["codebook"])
  e = state["codebook"][index].reshape(z.shape) * model.latent_mask[None]
  decoded = model.decode(params, codes.straight_through(z, e))
  reconstruction = jnp.mean(model.nll(batch, decoded))
  penalty = jnp.mean(jnp.sum((z - e) ** 2, axis=-1))
  terms = {
    "reconstruction": reconstruction,
    "penalty": penalty,
    "perplexity": codes.perplexity(index, num_codes, weights),
  }
  one_hot = jax.nn.one_hot(index, num_codes) * weights[None, :, None]
  following = _followed(state, parts, one_hot, decay)
  return reconstruction + commitment * penalty, terms, following


def _restarted(key: Key, state: Params, parts: Array, weights: Array) -> Params:
  """The state, with random parts in the place of vectors that are not used."""
  num_codes, num_examples = len(state["count"]), len(parts)
  share = num_examples * jnp.sum(weights) / num_codes
  example_key, part_key = jax.random.split(key)
  order = jax.random.permutation(example_key, num_examples)
  example = order[jnp.arange(num_codes) % num_examples]
  # Not randint: the draw is the same beside masked parts.
  draw = jax.random.uniform(part_key, (num_codes,))
  part = (draw * jnp.sum(weights)).astype(jnp.int32)
  dead = state["count"] < _DEAD * share
  return {
    "codebook": jnp.where(
      dead[:, None], parts[example, part], state["codebook"]
    ),
    "count": jnp.where(dead, share, state["count"]),
  }


def _followed(
  state: Params, parts: Array, one_hot: Array, decay: Scalar
) -> Params:
  """The state after a batch: running counts, and means by running counts."""
  codebook = state["codebook"]
  now = (1 - decay) * jnp.sum(one_hot, axis=(0, 1))
  total = (1 - decay) * jnp.einsum("npc,npd->cd", one_hot, parts)
  count = decay * state["count"] + now
  change = (total - now[:, None] * codebook) / jnp.maximum(count, _TINY)[
    :, None
  ]
  return {"codebook": codebook + change, "count": count}
