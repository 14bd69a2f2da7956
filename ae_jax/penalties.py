"""Penalties on a code z = f(x), in nats where they are divergences.

Units outside the latent mask are 0 in every code; they add nothing to any
penalty.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from ae_jax.divergences import bernoulli_cross_entropy
from ae_jax.types import Array, Scalar


def l1(z: Array) -> Array:
  """Sum of magnitudes, `sum_j |z_j|`.

  Args:
    z: codes `[batch, latent]`.

  Returns:
    `[batch]`.

  References:
    Tibshirani, "Regression Shrinkage and Selection via the Lasso", 1996.
  """
  # Not jnp.abs, whose derivative at 0 is 1: the subgradient here is 0.
  return jnp.sum(z * jnp.sign(z), axis=-1)


def student_t(z: Array) -> Array:
  """Negative log of a Student-t prior, `sum_j log(1 + z_j^2)`.

  Args:
    z: codes `[batch, latent]`.

  Returns:
    `[batch]`.

  References:
    Olshausen and Field, "Emergence of simple-cell receptive field
    properties by learning a sparse code for natural images", 1996.
  """
  return jnp.sum(jnp.log1p(z**2), axis=-1)


def kl_to_target(z: Array, target: Scalar, latent_mask: Array) -> Array:
  """Divergence of each unit's mean activation from a target rate, in nats.

  `sum_j KL(rho || rho_j)`, `rho_j` the mean of z_j over the batch, both read
  as the probability of a Bernoulli. A rate within float32's epsilon of
  0 or 1 is read as that epsilon away from it, with gradient 0.

  Args:
    z: activations `[batch, latent]`, in (0, 1).
    target: the rate rho, a scalar in (0, 1).
    latent_mask: `[latent]` of 0/1; masked units are left out of the sum.

  Returns:
    A scalar: this penalty belongs to the batch and not to an example.

  References:
    Ng, "Sparse autoencoder", CS294A lecture notes, 2011, section 3.
  """
  eps = jnp.finfo(z.dtype).eps
  rate = jnp.clip(jnp.mean(z, axis=0), eps, 1 - eps)
  rate = jnp.where(latent_mask > 0, rate, target)
  rho = jnp.full_like(rate, target)
  divergence = bernoulli_cross_entropy(rho, rate) - bernoulli_cross_entropy(
    rho, rho
  )
  return jnp.sum(divergence)  # masked units are at their target


def contractive(encode: Callable[[Array], Array], x: Array) -> Array:
  """Squared Frobenius norm of the encoder's Jacobian, `||df/dx||_F^2`.

  Defined by `jax.jacfwd`, at the cost of a tangent for each input feature.
  Where the code is smaller than the input, `jax.jacrev` gives the same
  Jacobian at the cost of a cotangent for each unit.

  Args:
    encode: f, from one example `[*features]` to its code `[latent]`.
    x: data `[batch, *features]`.

  Returns:
    `[batch]`.

  References:
    Rifai et al., "Contractive Auto-Encoders: Explicit Invariance During
    Feature Extraction", 2011, eq. 1.
  """
  code = jax.eval_shape(encode, x[0])
  jacobian = jax.jacrev if code.size < x[0].size else jax.jacfwd

  def squared_norm(example: Array) -> Array:
    return jnp.sum(jacobian(encode)(example) ** 2)

  return jax.vmap(squared_norm)(x)
