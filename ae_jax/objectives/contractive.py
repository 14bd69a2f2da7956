"""The contractive autoencoder."""

import functools

import jax.numpy as jnp

from ae_jax import penalties
from ae_jax.types import Array, Autoencoder, Key, Params, Terms


def contractive(
  model: Autoencoder,
  params: Params,
  key: Key,
  batch: Array,
  *,
  strength: float = 0.1,
) -> tuple[Array, Terms]:
  """`d(x, g(f(x))) + strength * ||df/dx||_F^2`, averaged over the batch.

  Args:
    model: the functions f and g, with their distance d.
    params: of the model.
    key: not used; this objective is deterministic.
    batch: x `[batch, *features]`.
    strength: weight of the penalty, at least 0.

  Returns:
    The loss in nats, and the terms `reconstruction` and `penalty` (unweighted).

  References:
    Rifai et al., "Contractive Auto-Encoders: Explicit Invariance During
    Feature Extraction", 2011, eq. 7.
  """
  del key
  z = model.encode(params, batch)
  reconstruction = jnp.mean(model.distance(batch, model.decode(params, z)))
  encode = functools.partial(model.encode, params)
  penalty = jnp.mean(penalties.contractive(encode, batch))
  loss = reconstruction + strength * penalty
  return loss, {"reconstruction": reconstruction, "penalty": penalty}
