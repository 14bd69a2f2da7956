"""Sparse autoencoders: a penalty draws the code towards zero.

The penalties weigh the code alone, so a decoder of large weights can buy a
small code; compare the share of active units and not only the loss.
"""

import math

import jax.numpy as jnp

from ae_jax import penalties
from ae_jax.declarations import objective
from ae_jax.types import Array, Autoencoder, Key, Params, Terms


@objective(ranges={"strength": (0.0, math.inf)})
def sparse(
  model: Autoencoder,
  params: Params,
  key: Key,
  batch: Array,
  *,
  strength: float = 0.01,
) -> tuple[Array, Terms]:
  """`d(x, g(z)) + strength * sum_j |z_j|`, z = f(x), averaged over the batch.

  Args:
    model: the functions f and g, with d = -log p(x|z).
    params: of the model.
    key: not used; this objective is deterministic.
    batch: x `[batch, *features]`.
    strength: weight of the penalty, at least 0.

  Returns:
    The loss in nats, and the terms `reconstruction` and `penalty` (unweighted).

  References:
    Ranzato et al., "Efficient Learning of Sparse Representations with an
    Energy-Based Model", 2007; the Laplace prior of Olshausen and Field, 1996.
  """
  del key
  z = model.encode(params, batch)
  penalty = jnp.mean(penalties.l1(z))
  return _penalized(model, params, batch, z, strength, penalty)


@objective(ranges={"strength": (0.0, math.inf)})
def sparse_student_t(
  model: Autoencoder,
  params: Params,
  key: Key,
  batch: Array,
  *,
  strength: float = 0.01,
) -> tuple[Array, Terms]:
  """`d(x, g(z)) + strength * sum_j log(1 + z_j^2)`, averaged over the batch.

  Args:
    model: the functions f and g, with d = -log p(x|z).
    params: of the model.
    key: not used; this objective is deterministic.
    batch: x `[batch, *features]`.
    strength: weight of the penalty, at least 0.

  Returns:
    The loss in nats, and the terms `reconstruction` and `penalty` (unweighted).

  References:
    Olshausen and Field, "Emergence of simple-cell receptive field properties
    by learning a sparse code for natural images", 1996, the Cauchy form of S.
  """
  del key
  z = model.encode(params, batch)
  penalty = jnp.mean(penalties.student_t(z))
  return _penalized(model, params, batch, z, strength, penalty)


@objective(
  code="sigmoid",
  ranges={"strength": (0.0, math.inf), "target": (1e-06, 1 - 1e-6)},
)
def sparse_kl(
  model: Autoencoder,
  params: Params,
  key: Key,
  batch: Array,
  *,
  strength: float = 0.1,
  target: float = 0.05,
) -> tuple[Array, Terms]:
  """`d(x, g(z)) + strength * sum_j KL(target || mean_batch z_j)`.

  Args:
    model: the functions f and g, with d = -log p(x|z); z in (0, 1).
    params: of the model.
    key: not used; this objective is deterministic.
    batch: x `[batch, *features]`.
    strength: weight of the penalty, at least 0.
    target: the mean activation asked of each unit, in (0, 1).

  Returns:
    The loss in nats, and the terms `reconstruction` and `penalty` (unweighted).

  References:
    Ng, "Sparse autoencoder", CS294A lecture notes, 2011, section 3.
  """
  del key
  z = model.encode(params, batch)
  penalty = penalties.kl_to_target(z, target, model.latent_mask)
  return _penalized(model, params, batch, z, strength, penalty)


def _penalized(
  model: Autoencoder,
  params: Params,
  batch: Array,
  z: Array,
  strength: float,
  penalty: Array,
) -> tuple[Array, Terms]:
  reconstruction = jnp.mean(model.nll(batch, model.decode(params, z)))
  loss = reconstruction + strength * penalty
  return loss, {"reconstruction": reconstruction, "penalty": penalty}
