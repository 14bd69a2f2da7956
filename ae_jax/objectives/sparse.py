"""Sparse autoencoders: a penalty draws the code towards zero.

A penalty on the code alone, as the papers have it, can be had for nothing: with
the code at a tenth and the decoder at ten times its size, x~ is what it was. So
each unit counts by what it does to x~, see `decoder_norms`. To compare models
take metrics that no scale of a code changes, such as `hoyer_sparsity`.
"""

import math

import jax
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
  decoder_norms: bool = True,
) -> tuple[Array, Terms]:
  """`d(x, g(z)) + strength * sum_j |z_j| ||dx~/dz_j||`, averaged over a batch.

  z = f(x), best with `code=relu`, whose units can be 0. The norm is taken at
  the mean code of the batch; of a linear decoder it is that of a column.
  Without `decoder_norms` the penalty is `sum_j |z_j|`.

  Args:
    model: the functions f and g, with d = -log p(x|z).
    params: of the model.
    key: not used; this objective is deterministic.
    batch: x `[batch, *features]`.
    strength: weight of the penalty, at least 0.
    decoder_norms: whether a unit counts by its effect on x~.

  Returns:
    The loss in nats, and the terms `reconstruction` and `penalty` (unweighted).

  References:
    Ranzato et al., "Efficient Learning of Sparse Representations with an
    Energy-Based Model", 2007; the Laplace prior of Olshausen and Field, 1996;
    the norms of Conerly et al., "Update on how we train SAEs", 2024.
  """
  del key
  z = model.encode(params, batch)
  y = _effects(model, params, z) if decoder_norms else z
  penalty = jnp.mean(penalties.l1(y))
  return _penalized(model, params, batch, z, strength, penalty)


@objective(ranges={"strength": (0.0, math.inf)})
def sparse_student_t(
  model: Autoencoder,
  params: Params,
  key: Key,
  batch: Array,
  *,
  strength: float = 0.01,
  decoder_norms: bool = True,
) -> tuple[Array, Terms]:
  """`d(x, g(z)) + strength * sum_j log(1 + y_j^2)`, averaged over the batch.

  y_j = z_j ||dx~/dz_j||, the norm taken at the mean code of the batch; without
  `decoder_norms` y = z.

  Args:
    model: the functions f and g, with d = -log p(x|z).
    params: of the model.
    key: not used; this objective is deterministic.
    batch: x `[batch, *features]`.
    strength: weight of the penalty, at least 0.
    decoder_norms: whether a unit counts by its effect on x~.

  Returns:
    The loss in nats, and the terms `reconstruction` and `penalty` (unweighted).

  References:
    Olshausen and Field, "Emergence of simple-cell receptive field properties
    by learning a sparse code for natural images", 1996, the Cauchy form of S.
  """
  del key
  z = model.encode(params, batch)
  y = _effects(model, params, z) if decoder_norms else z
  penalty = jnp.mean(penalties.student_t(y))
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


def _effects(model: Autoencoder, params: Params, z: Array) -> Array:
  """Each unit times `||dx~/dz_j||` at the mean code of the batch."""

  def mean_of(z: Array) -> Array:
    return model.mean(model.decode(params, z)).ravel()

  center = jnp.mean(z, axis=0)
  wide = len(center) > jax.eval_shape(mean_of, center).size
  jacobian = (jax.jacrev if wide else jax.jacfwd)(mean_of)(center)
  squares = jnp.sum(jacobian**2, axis=0)
  used = squares > 0  # the derivative of a root at 0 is infinite
  norms = jnp.where(used, jnp.sqrt(jnp.where(used, squares, 1.0)), 0.0)
  return z * norms[None]


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
