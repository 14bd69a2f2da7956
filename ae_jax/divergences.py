"""Entropy, cross-entropy and Kullback-Leibler divergence, in nats.

Discrete distributions and Gaussians run along the last axis; leading axes are
free. Values take `0 log 0 = 0`, and what is impossible under the model (p > 0
where q = 0) costs `inf`; gradients need probabilities inside (0, 1).
"""

import math

import jax
import jax.numpy as jnp
from jax.scipy.linalg import solve_triangular
from jax.scipy.special import entr, rel_entr, xlog1py, xlogy

from ae_jax.types import Array, Gaussian, Scalar

LOG_2PI = math.log(2 * math.pi)
_MMD_SCALES = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)  # of the kernels


def entropy(p: Array) -> Array:
  """Entropy of a discrete distribution, `H(p) = -sum_i p_i log p_i`, in nats.

  Args:
    p: probabilities `[..., n]`.

  Returns:
    `[...]`, between 0 and log n.

  References:
    Shannon, "A Mathematical Theory of Communication", 1948, section 6.
  """
  return jnp.sum(entr(p), axis=-1)


def cross_entropy(p: Array, q: Array) -> Array:
  """Cross-entropy `H(p, q) = -sum_i p_i log q_i = KL(p || q) + H(p)`, in nats.

  Args:
    p: probabilities `[..., n]` of the truth.
    q: probabilities `[..., n]` of the model.

  Returns:
    `[...]`; `inf` where some p_i > 0 has q_i = 0.
  """
  return -jnp.sum(xlogy(p, q), axis=-1)


def kl(p: Array, q: Array) -> Array:
  """Divergence `KL(p || q) = sum_i p_i log(p_i / q_i)`, in nats.

  Args:
    p: probabilities `[..., n]` of the truth.
    q: probabilities `[..., n]` of the model.

  Returns:
    `[...]`, at least 0; `inf` where some p_i > 0 has q_i = 0.

  References:
    Kullback and Leibler, "On Information and Sufficiency", 1951, eq. 2.4.
  """
  return jnp.sum(rel_entr(p, q), axis=-1)


def bernoulli_cross_entropy(a: Array, b: Array) -> Array:
  """Cross-entropy of two Bernoullis, `-a log b - (1 - a) log(1 - b)`, in nats.

  From logits, `reconstruction.bernoulli_cross_entropy` is the accurate form.

  Args:
    a: probability of a one under the truth, any shape.
    b: probability of a one under the model, the shape of `a`.

  Returns:
    Elementwise, the shape of `a`; `inf` where the model rules out the truth.
  """
  return -xlogy(a, b) - xlog1py(1 - a, -b)


def gaussian_log_density(x: Array, mean: Array, covariance: Array) -> Array:
  """Log-density of a Gaussian with full covariance S, in nats.

  `log N(x; m, S) = -1/2 [(x-m)^T S^-1 (x-m) + log det S + d log 2 pi]`

  Args:
    x: `[..., d]`.
    mean: `[d]`.
    covariance: `[d, d]`, symmetric and positive definite (NaN if it is not).

  Returns:
    `[...]`.
  """
  factor = jnp.linalg.cholesky(covariance)
  centered = (x - jnp.expand_dims(mean, tuple(range(x.ndim - 1)))).reshape(
    -1, x.shape[-1]
  )
  # S = L L^T, so the Mahalanobis term is |L^-1 (x - m)|^2.
  whitened = solve_triangular(factor, centered.T, lower=True)
  half_log_det = jnp.sum(jnp.log(jnp.diagonal(factor)))
  mahalanobis = jnp.sum(whitened**2, axis=0).reshape(x.shape[:-1])
  return -0.5 * (mahalanobis + x.shape[-1] * LOG_2PI) - half_log_det


def diagonal_gaussian_log_density(x: Array, p: Gaussian) -> Array:
  """Log-density of a diagonal Gaussian, in nats.

  `-1/2 sum_i [(x_i - m_i)^2 / s_i^2 + log s_i^2 + log 2 pi]`

  Args:
    x: `[..., d]`.
    p: mean and log-variance, each `[..., d]`.

  Returns:
    `[...]`.
  """
  return jnp.sum(univariate_gaussian_log_density(x, p), axis=-1)


def log_ratio_to_mixture(z: Array, q: Gaussian, p: Gaussian) -> Array:
  """How much likelier q finds z than a mixture of equal weights, in nats.

  `log q(z) - log 1/K sum_k p_k(z)`; summed over units before anything else, so
  that units in which all are alike give exactly 0.

  Args:
    z: `[n, d]`.
    q: mean and log-variance, each `[n, d]`.
    p: means and log-variances of the components, each `[K, d]`.

  Returns:
    `[n]`; its mean over z ~ q is `KL(q || p)`.
  """
  under_p = univariate_gaussian_log_density(
    z[:, None], jax.tree.map(lambda field: field[None], p)
  )
  under_q = univariate_gaussian_log_density(z, q)[:, None]
  each = jnp.sum(under_p - under_q, axis=-1)  # [n, K]
  return jnp.log(each.shape[1]) - jax.nn.logsumexp(each, axis=1)


def univariate_gaussian_log_density(x: Array, p: Gaussian) -> Array:
  """Log-density of univariate Gaussians, elementwise, in nats.

  `-1/2 [(x - m)^2 / s^2 + log s^2 + log 2 pi]`

  Args:
    x: any shape.
    p: mean and log-variance, shapes that broadcast with `x`.

  Returns:
    Elementwise.
  """
  # Not (x - m)^2 e^(-log s^2): that is 0 inf where log s^2 is below -88.
  mahalanobis = ((x - p.mean) * jnp.exp(-0.5 * p.log_variance)) ** 2
  return -0.5 * (mahalanobis + p.log_variance + LOG_2PI)


def univariate_gaussian_kl(q: Gaussian, p: Gaussian) -> Array:
  """Divergence of two univariate Gaussians, elementwise, in nats.

  `KL(q || p) = 1/2 [s_q^2/s_p^2 + (m_q - m_p)^2/s_p^2 - 1 - log s_q^2/s_p^2]`

  Args:
    q: mean and log-variance, any shape.
    p: mean and log-variance, the shape of `q`.

  Returns:
    Elementwise, at least 0.
  """
  log_ratio = q.log_variance - p.log_variance
  shift = (q.mean - p.mean) ** 2 * jnp.exp(-p.log_variance)
  return 0.5 * (jnp.expm1(log_ratio) - log_ratio + shift)


def gaussian_kl(q: Gaussian, p: Gaussian) -> Array:
  """Divergence `KL(q || p)` of two diagonal Gaussians, in nats.

  Args:
    q: mean and log-variance, each `[..., d]`.
    p: mean and log-variance, each `[..., d]`.

  Returns:
    `[...]`: the univariate divergences summed over d.
  """
  return jnp.sum(univariate_gaussian_kl(q, p), axis=-1)


def kl_from_standard_normal(q: Gaussian) -> Array:
  """Divergence of a diagonal Gaussian from N(0, I), in nats.

  `KL(q || N(0, I)) = 1/2 (|sigma|^2 + |mean|^2 - d - sum_i log sigma_i^2)`

  Args:
    q: mean and log-variance, each `[..., d]`.

  Returns:
    `[...]`, at least 0.

  References:
    Kingma and Welling, "Auto-Encoding Variational Bayes", 2014, appendix B.
  """
  # (sigma^2 - 1 - log sigma^2) as one term: exact near sigma = 1.
  excess = jnp.expm1(q.log_variance) - q.log_variance
  return 0.5 * jnp.sum(excess + q.mean**2, axis=-1)


def squared_mmd(x: Array, y: Array, scale: Scalar) -> Array:
  """Squared maximum mean discrepancy of two samples, kernels added up.

  `mean_{i != j} k(x_i, x_j) + mean_{i != j} k(y_i, y_j) - 2 mean k(x_i, y_j)`,
  k the sum of inverse multiquadrics `C / (C + |x - y|^2)` over C = c * scale,
  c in 0.1, 0.2, 0.5, 1, 2, 5, 10. Unbiased, so it may be below 0.

  Args:
    x: `[n, d]`, n at least 2.
    y: `[n, d]`.
    scale: the squared distance that is typical.

  Returns:
    A scalar.

  References:
    Gretton et al., "A Kernel Two-Sample Test", 2012, eq. 3; the kernel of
    Tolstikhin et al., "Wasserstein Auto-Encoders", 2018, section 4.
  """
  num = len(x)

  def kernel(a: Array, b: Array) -> Array:
    distance = jnp.sum((a[:, None] - b[None]) ** 2, axis=-1)
    scales = scale * jnp.array(_MMD_SCALES)[:, None, None]
    return jnp.sum(scales / (scales + distance[None]), axis=0)

  def within(a: Array) -> Array:
    return (jnp.sum(kernel(a, a)) - num * len(_MMD_SCALES)) / (num * (num - 1))

  return within(x) + within(y) - 2 * jnp.mean(kernel(x, y))
