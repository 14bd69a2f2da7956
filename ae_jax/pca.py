"""Principal component analysis, the linear baseline.

One fit holds every latent size: the first K components are the PCA of size K.
The fit is NumPy in float64, so that small eigenvalues are right too; it runs
once for a dataset. `transform` and `inverse` take NumPy or JAX arrays.

References:
  Pearson, "On lines and planes of closest fit to systems of points in
  space", 1901; Bishop, "Pattern Recognition and Machine Learning", 2006,
  section 12.1.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

_BLOCK = 4096


class PCA(NamedTuple):
  """A fitted PCA of `d` features with `r` components, r <= min(n - 1, d).

  Attributes:
    mean: `[d]`.
    components: `[r, d]`, orthonormal rows by falling variance; the entry of
      largest magnitude in each row is positive.
    explained_variance: `[r]`, the variance along each component (over n - 1).
    total_variance: the variance of all d features together.
  """

  mean: np.ndarray
  components: np.ndarray
  explained_variance: np.ndarray
  total_variance: float

  @property
  def explained_variance_ratio(self) -> np.ndarray:
    """`[r]`: explained variance as a share of the total (0 if that is 0)."""
    return self.explained_variance / (self.total_variance or 1.0)


def fit(x: np.ndarray) -> PCA:
  """Fits a PCA by eigen-decomposition, over the cheaper side.

  Four points, two features; the first component lies along (2, 1):

  >>> x = np.array([[9.0, 7.0], [1.0, 3.0], [4.0, 7.0], [6.0, 3.0]])
  >>> pca = fit(x)                           # 1. center: the mean is (5, 5)
  >>> pca.mean                               # 2. covariance over N - 1 = 3:
  array([5., 5.])
  >>> np.cov(x.T) * 3                        #    [[34, 12], [12, 16]] / 3
  array([[34., 12.],
         [12., 16.]])
  >>> np.round(pca.explained_variance, 4)    # 3. and 4. eigenvalues, sorted
  array([13.3333,  3.3333])
  >>> np.round(pca.components[0] * 5**0.5, 4)
  array([2., 1.])
  >>> z = transform(pca, x, 1)               # 5. project onto (2, 1) / sqrt 5
  >>> np.round(z / 5**0.5, 4).ravel() + 0.0
  array([ 2., -2.,  0.,  0.])
  >>> np.round(inverse(pca, z), 4)           # 6. reconstruct
  array([[9., 7.],
         [1., 3.],
         [5., 5.],
         [5., 5.]])

  The error of 10 / 4 points is what was left out: 3.3333 * (N - 1) / N.

  >>> np.round(squared_errors(pca, x), 4)    # K = 0, 1, 2
  array([12.5,  2.5,  0. ])

  Args:
    x: data `[n, d]`.

  Returns:
    The PCA with all its components.

  Raises:
    ValueError: `x` is not a matrix of at least two rows.
  """
  x = np.asarray(x)
  if x.ndim != 2 or len(x) < 2:
    raise ValueError(f"PCA needs [n >= 2, d] data, got shape {x.shape}")
  n, d = x.shape
  if n >= d:  # the d x d covariance
    # Of x - shift, a mean that is near enough: one pass, nothing cancels.
    shift = np.asarray(np.mean(x[:_BLOCK], axis=0, dtype=np.float64))
    scatter, total = np.zeros((d, d)), np.zeros(d)
    for c in _centered_blocks(x, shift):
      scatter += c.T @ c
      total += np.sum(c, axis=0)
    mean = shift + total / n
    covariance = (scatter - np.outer(total, total) / n) / (n - 1)
    variance, vectors = np.linalg.eigh(covariance)
    components = vectors[:, ::-1].T
  else:  # the n x n Gram matrix has the same eigenvalues, and a last one of 0
    mean = np.asarray(np.mean(x, axis=0, dtype=np.float64))
    centered = x - mean
    variance, vectors = np.linalg.eigh(centered @ centered.T / (n - 1))
    # X^T u is orthogonal already; QR scales it and fills a degenerate rest.
    components = np.linalg.qr(centered.T @ vectors[:, ::-1])[0].T
  rank = min(n - 1, d)
  components = components[:rank]
  largest = np.argmax(np.abs(components), axis=1)
  signs = np.sign(components[np.arange(rank), largest])
  variance = np.maximum(variance[::-1], 0.0)
  return PCA(
    mean=mean,
    components=components * signs[:, None],
    explained_variance=variance[:rank],
    total_variance=float(np.sum(variance)),
  )


def transform(pca: PCA, x: Any, num_components: int) -> Any:
  """Codes `z = (x - mean) V^T`, V the first K components.

  Args:
    pca: from `fit`.
    x: `[n, d]`.
    num_components: K; all of them where there are fewer.

  Returns:
    `[n, min(K, r)]`.
  """
  return (x - pca.mean[None]) @ pca.components[:num_components].T


def inverse(pca: PCA, z: Any) -> Any:
  """Reconstructions `x~ = z V + mean`.

  Args:
    pca: from `fit`.
    z: codes `[n, K]`, K <= r.

  Returns:
    `[n, d]`.
  """
  return z @ pca.components[: z.shape[1]] + pca.mean[None]


def squared_errors(pca: PCA, x: np.ndarray) -> np.ndarray:
  """Squared reconstruction error for every K at once.

  `||x - x~_K||^2 = ||x - mean||^2 - sum_{k <= K} z_k^2`, the rows of V being
  orthonormal.

  Args:
    pca: from `fit`.
    x: `[n, d]`.

  Returns:
    `[r + 1]`, for K = 0 ... r: summed over features, mean over examples.
  """
  blocks = _centered_blocks(np.asarray(x), pca.mean)
  sums = [
    (np.sum((c @ pca.components.T) ** 2, axis=0), np.sum(c**2)) for c in blocks
  ]
  power, total = (sum(part) / len(x) for part in zip(*sums, strict=True))
  # The part outside all components, then added up from the smallest one.
  outside = max(total - np.sum(power), 0.0)
  return outside + np.append(np.cumsum(power[::-1])[::-1], 0.0)


def _centered_blocks(x: np.ndarray, mean: np.ndarray) -> Iterator[np.ndarray]:
  """`x - mean` in float64, some rows at a time: they stay in the cache."""
  for start in range(0, len(x), _BLOCK):
    yield x[start : start + _BLOCK] - mean
