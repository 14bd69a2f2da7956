"""Sparse by selection: a code keeps its largest units."""

import math

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

_SELECTIONS = {
  "example": codes.top_k,
  "batch": codes.batch_top_k,
}


def _k(
  model: Autoencoder, params: Params, key: Key, *, k: Scalar, **_: Scalar
) -> Params:
  """How many units a trained model keeps."""
  del model, params, key
  return {"k": jnp.asarray(k, jnp.float32)}


def _largest(params: Params, z: Array, latent_mask: Array) -> Array:
  """The round(state.k) largest units of z remain, the others are 0."""
  return codes.top_k(z, params["state"]["k"], latent_mask)


@objective(
  state=_k,
  select=_largest,
  code="linear",
  ranges={"k": (1.0, math.inf)},
)
def k_sparse(
  model: Autoencoder,
  params: Params,
  key: Key,
  batch: Array,
  *,
  k: float = 25.0,
  selection: str = "example",
) -> tuple[Array, Terms, Params]:
  """`d(x, g(z))`, z the k largest units of a linear code, averaged.

  With k at least the latent size it is the linear `autoencoder`. A trained
  model keeps the k largest units of each example, also where it was trained by
  those of a batch.

  Args:
    model: the functions f and g, with d = -log p(x|z).
    params: of the model; k of a trained one is in its state.
    key: not used; this objective is deterministic.
    batch: x `[batch, *features]`.
    k: units that are kept, at least 1; rounded.
    selection: "example": k of each code; "batch": batch times k of all.

  Returns:
    The loss in nats, the term `reconstruction`, and k as it was.

  Raises:
    UsageError: there is no such selection.

  References:
    Makhzani and Frey, "k-Sparse Autoencoders", 2014, algorithm 1; Bussmann et
    al., "BatchTopK Sparse Autoencoders", 2024.
  """
  del key
  if selection not in _SELECTIONS:
    raise UsageError(
      f"selection is {selection!r}; allowed: {', '.join(_SELECTIONS)}"
    )
  keep = _SELECTIONS[selection]
  z = keep(model.dense_code(params, batch), k, model.latent_mask)
  reconstruction = jnp.mean(model.nll(batch, model.decode(params, z)))
  terms = {"reconstruction": reconstruction}
  return reconstruction, terms, params["state"]
