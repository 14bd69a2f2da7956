"""Sparse by selection: a code keeps its largest units."""

import math
from collections.abc import Mapping
from typing import Any

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

_SELECTIONS = ("example", "batch")
_RATE = 0.1  # of the running mean of thresholds


def _start(
  model: Autoencoder,
  params: Params,
  key: Key,
  *,
  k: Scalar,
  selection: str,
) -> Params:
  """How many units a trained model keeps, or from which value on."""
  del model, params, key
  state = {"k": jnp.asarray(k, jnp.float32)}
  if selection == "batch":
    state |= {"threshold": jnp.zeros(()), "num_batches": jnp.zeros(())}
  return state


def _selected(params: Params, z: Array, latent_mask: Array) -> Array:
  """The round(state.k) largest units of z, or those >= state.threshold."""
  state = params["state"]
  if "threshold" not in state:
    return codes.top_k(z, state["k"], latent_mask)
  all_of_them = jnp.round(state["k"]) >= jnp.sum(latent_mask)
  threshold = jnp.where(all_of_them, -jnp.inf, state["threshold"])
  return codes.at_least(z, threshold, latent_mask)


def _at_most_all(settings: Mapping[str, Any]) -> None:
  """Raises UsageError where there are fewer units than k."""
  k, size = settings["k"], settings["latent_size"]
  if round(k) > size:
    raise UsageError(f"k must be at most latent_size, {size}; got {k}")


@objective(
  state=_start,
  select=_selected,
  check=_at_most_all,
  code="linear",
  ranges={"k": (1.0, math.inf)},
)
def k_sparse(
  model: Autoencoder,
  params: Params,
  key: Key,
  batch: Array,
  *,
  k: float = 4.0,
  selection: str = "example",
) -> tuple[Array, Terms, Params]:
  """`d(x, g(z))`, z the k largest units of a linear code, averaged.

  With k the latent size it is the linear `autoencoder`. Units that equal the
  k-th are kept too. A model that was trained by the largest of each batch keeps
  the units of at least a threshold, the running mean of the least that was kept
  in a batch: what is kept of an example does not depend on others, and k is
  their number on average.

  Args:
    model: the functions f and g, with d = -log p(x|z).
    params: of the model; k and the threshold of a trained one are in its state.
    key: not used; this objective is deterministic.
    batch: x `[batch, *features]`.
    k: units that are kept, in 1 ... latent size; rounded.
    selection: "example": k of each code; "batch": batch times k of all.

  Returns:
    The loss in nats, the term `reconstruction`, and the next state.

  Raises:
    UsageError: there is no such selection.

  References:
    Makhzani and Frey, "k-Sparse Autoencoders", 2014, algorithm 1; Bussmann et
    al., "BatchTopK Sparse Autoencoders", 2024, section 3 (but for their ReLU,
    which differs where a threshold is negative).
  """
  del key
  if selection not in _SELECTIONS:
    raise UsageError(
      f"selection is {selection!r}; allowed: {', '.join(_SELECTIONS)}"
    )
  state, mask = params["state"], model.latent_mask
  z = model.dense_code(params, batch)
  if selection == "example":
    kept = codes.top_k(z, k, mask)
  else:
    least = codes.batch_threshold(z, k, mask)
    kept = codes.at_least(z, least, mask)
    state = _followed(state, least)
  reconstruction = jnp.mean(model.nll(batch, model.decode(params, kept)))
  return reconstruction, {"reconstruction": reconstruction}, state


def _followed(state: Params, least: Array) -> Params:
  """The state after a batch; the first ten batches have equal weights."""
  number = state["num_batches"] + 1
  change = jnp.maximum(1 / number, _RATE) * (least - state["threshold"])
  return state | {
    "threshold": state["threshold"] + change,
    "num_batches": number,
  }
