"""Penalties on a code z = f(x), in nats where they are divergences.

Units outside the latent mask are 0 in every code; they add nothing to any
penalty.
"""

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp

from ae_jax.divergences import bernoulli_cross_entropy
from ae_jax.types import Array, Key, Scalar


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


def contractive_dense(
  kernels: Sequence[Array], slopes: Sequence[Array], *, linear_code: bool
) -> Array:
  """`contractive` of dense layers, exactly, without the d columns of J.

  With the kernels `W_i` and the slopes of the activations on the diagonal of
  `D_i`, `J^T = W_0 D_0 W_1 D_1 ... W_k D_k`, so that

      ||J||_F^2 = tr(R W_0^T W_0 R^T),  R = D_k W_k^T ... D_1 W_1^T D_0,

  where the Gram matrix `W_0^T W_0` stands for those columns. For one hidden
  layer and a linear code, with `s` the diagonal of `D_0`,

      ||J||_F^2 = s^T ((W_0^T W_0) * (W_1 W_1^T)) s.

  Where the first layer is so wide that its Gram matrix costs more than it
  saves, the columns are built: `||R W_0^T||_F^2`.

  Args:
    kernels: `[d, units]`, ..., `[units, latent]`: those of the encoder.
    slopes: of each layer `[batch, units]`, a'(x W + b) elementwise.
    linear_code: whether the slopes of the last layer are all 1.

  Returns:
    `[batch]`.

  References:
    Rifai et al., 2011; theirs is one layer, `sum_j a_j'^2 ||W_j||^2`.
  """
  first, last = kernels[0], kernels[-1]
  if len(kernels) == 1:
    return slopes[0] ** 2 @ jnp.sum(first**2, axis=0)

  (d, units), (batch, latent) = first.shape, slopes[-1].shape
  closed = len(kernels) == 2 and linear_code
  num_rows = batch + latent if closed else batch * latent
  with_gram = (d + num_rows) * units < batch * latent * d  # multiplications
  if closed and with_gram:
    return _quadratic(slopes[0], _gram(first) * _gram(last.T))

  # R, `[batch, latent, units]`, from the code down to the first layer.
  rows = last.T[None] * slopes[-1][:, :, None] * slopes[-2][:, None]
  for kernel, slope in zip(kernels[-2:0:-1], slopes[-3::-1], strict=True):
    rows = rows @ kernel.T * slope[:, None]
  if with_gram:
    return jnp.sum(_quadratic(rows, _gram(first)), axis=1)
  return jnp.sum((rows @ first.T) ** 2, axis=(1, 2))


def hutchinson(
  encode: Callable[[Array], Array], key: Key, x: Array, num_probes: int
) -> tuple[Array, Array]:
  """The code, and an unbiased estimate of `contractive` from random probes.

  `mean_p ||v_p^T J||^2` with independent `v_p` in {-1, 1}^latent, at the cost
  of a cotangent for each probe. The variance of an example's estimate is

      2 / num_probes * (||J J^T||_F^2 - sum_i (J J^T)_ii^2),

  and that of the mean over a batch is the mean of these by the batch size: the
  examples have probes of their own. It is 0 where the rows of J, the gradients
  of the units, are orthogonal.

  Args:
    encode: f, from x to codes `[batch, latent]`, example by example.
    key: of the probes; a unit's do not depend on how many units follow it.
    x: data `[batch, *features]`.
    num_probes: at least 1.

  Returns:
    z = f(x), and `[batch]`.

  References:
    Hutchinson, "A stochastic estimator of the trace of the influence matrix
    for Laplacian smoothing splines", 1990.
  """
  z, transposed = jax.vjp(encode, x)
  batch, latent = z.shape
  draws = jax.random.rademacher(key, (latent, num_probes, batch), z.dtype)
  (products,) = jax.vmap(transposed)(jnp.moveaxis(draws, 0, -1))
  squares = products.reshape(num_probes, batch, -1) ** 2
  return z, jnp.mean(jnp.sum(squares, axis=-1), axis=0)


def random_part(key: Key, x: Array, size: int) -> Array:
  """A random part of a batch, drawn without replacement.

  The mean of any function of the examples over the part is unbiased for its
  mean over the batch. Its variance is `(1 - m/n) S^2 / m`, with m examples of
  n and `S^2 = sum_i (y_i - mean y)^2 / (n - 1)` of the function's values y.

  Args:
    key: of the draw.
    x: data `[batch, *features]`.
    size: m, at least 1; all examples where there are fewer.

  Returns:
    `[min(size, batch), *features]`.

  References:
    Cochran, "Sampling Techniques", 1977, theorem 2.2.
  """
  return jnp.asarray(x)[jax.random.permutation(key, len(x))[:size]]


# Both are symmetric, so that each derivative takes one product and not two.


@jax.custom_jvp
def _gram(kernel: Array) -> Array:
  """`W^T W`."""
  return kernel.T @ kernel


@_gram.defjvp
def _gram_jvp(
  primals: tuple[Array], tangents: tuple[Array]
) -> tuple[Array, Array]:
  (kernel,), (tangent,) = primals, tangents
  half = kernel.T @ tangent
  return _gram(kernel), half + half.T


@jax.custom_jvp
def _quadratic(rows: Array, matrix: Array) -> Array:
  """`r^T M r` of each row `[..., units]`, M symmetric."""
  return jnp.sum(rows @ matrix * rows, axis=-1)


@_quadratic.defjvp
def _quadratic_jvp(
  primals: tuple[Array, Array], tangents: tuple[Array, Array]
) -> tuple[Array, Array]:
  rows, matrix = primals
  rows_tangent, matrix_tangent = tangents
  products = rows @ matrix
  tangent = 2 * products * rows_tangent + rows @ matrix_tangent * rows
  return jnp.sum(products * rows, axis=-1), jnp.sum(tangent, axis=-1)
