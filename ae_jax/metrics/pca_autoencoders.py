"""PCAs as trained autoencoders, to be measured as these are."""

from collections.abc import Iterable

import jax
import numpy as np

from ae_jax import pca
from ae_jax.networks import Spec
from ae_jax.types import Params


def pca_autoencoders(
  fitted: pca.PCA, features: tuple[int, ...], latent_sizes: Iterable[int]
) -> tuple[Spec, Params, list[int]]:
  """PCAs as linear autoencoders, `f(x) = V (x - mean)`, `g(z) = V^T z + mean`.

  Args:
    fitted: PCA of the train data.
    features: shape of an example.
    latent_sizes: numbers of components; more than there are count as all.

  Returns:
    Their spec, padded to the largest; parameters `[sizes, ...]`; and the
    number of components of each.
  """
  ranks = [min(size, len(fitted.components)) for size in latent_sizes]
  largest = max(ranks)
  kept = np.arange(largest)[None] < np.array(ranks)[:, None]  # [sizes, r]
  rows = fitted.components[None, :largest] * kept[..., None]
  params = {
    "encoder": {
      "code": {"kernel": rows.swapaxes(1, 2), "bias": -rows @ fitted.mean}
    },
    "decoder": {
      "latent": {
        "kernel": rows,
        "bias": np.broadcast_to(fitted.mean, (len(ranks), len(fitted.mean))),
      }
    },
  }
  return (
    Spec(features, largest, widths=()),
    jax.tree.map(lambda p: p.astype(np.float32), params),
    ranks,
  )
