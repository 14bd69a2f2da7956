"""PCA of data with missing entries, fitted to the others by least squares.

The expectation-maximization of PCA without noise: entries that are missing are
filled with their reconstruction, the PCA is fitted to the filled data, and so
on. Where nothing is missing it is `pca.fit`.

References:
  Dempster, Laird and Rubin, "Maximum likelihood from incomplete data via the EM
  algorithm", 1977; Roweis, "EM algorithms for PCA and SPCA", 1998; Josse and
  Husson, "Handling missing values in exploratory multivariate data analysis
  methods", 2012, section 2.1 (iterative PCA).
"""

import numpy as np

from ae_jax import pca
from ae_jax.pca import PCA

_BLOCK = 1024
_SINGULAR = 1e-10  # of the largest eigenvalue: below are rounding errors


def fit(
  x: np.ndarray,
  num_components: int,
  *,
  max_iterations: int = 200,
  tolerance: float = 1e-4,
) -> PCA:
  """The K components that minimize the squared error of observed entries.

  Args:
    x: `[n, d]`, NaN where an entry is missing; no feature is missing in all.
    num_components: K.
    max_iterations: how often entries are filled.
    tolerance: it ends where filling changes entries by no more than that part
      of what they are from the mean, as root mean squares.

  Returns:
    The PCA of the filled data, with all its components: the first K are those
    that it was filled by.
  """
  missing = np.isnan(x)
  mean = np.asarray(np.nanmean(x, axis=0, dtype=np.float64))
  x = np.where(missing, mean[None], x)
  fitted = pca.fit(x)
  for _ in range(max_iterations if missing.any() else 0):
    z = pca.transform(fitted, x, num_components)
    again = pca.inverse(fitted, z)[missing]
    change = np.sum((again - x[missing]) ** 2)
    x[missing] = again
    fitted = pca.fit(x)
    deviation = np.broadcast_to(fitted.mean, x.shape)[missing] - again
    if change <= tolerance**2 * np.sum(deviation**2):
      break
  return fitted


def codes(fitted: PCA, x: np.ndarray, num_components: int) -> np.ndarray:
  """`argmin_z sum_{j observed} (x_j - mean_j - (z V)_j)^2` of each example.

  Of several the shortest. Where nothing is missing: `pca.transform`.

  Args:
    fitted: from `fit`.
    x: `[n, d]`, NaN where an entry is missing.
    num_components: K, at most as many as there are.

  Returns:
    `[n, K]`.
  """
  components = fitted.components[:num_components]
  outer = components[:, None] * components[None]  # [K, K, d]
  found = []
  for start in range(0, len(x), _BLOCK):
    block = x[start : start + _BLOCK]
    observed = ~np.isnan(block)
    centered = np.where(observed, block - fitted.mean[None], 0.0)
    gram = np.tensordot(observed.astype(np.float64), outer, axes=(1, 2))
    inverse = np.linalg.pinv(gram, rcond=_SINGULAR, hermitian=True)
    found.append(np.einsum("nkl,nl->nk", inverse, centered @ components.T))
  return np.concatenate(found)


def reconstruct(fitted: PCA, x: np.ndarray, num_components: int) -> np.ndarray:
  """x~ of all entries, from the codes of those that are observed, `[n, d]`."""
  return pca.inverse(fitted, codes(fitted, x, num_components))


def complete(fitted: PCA, x: np.ndarray, num_components: int) -> np.ndarray:
  """The data with missing entries filled by their reconstruction."""
  return np.where(np.isnan(x), reconstruct(fitted, x, num_components), x)
