"""Search for the codes that are nearest to others."""

from collections.abc import Callable

import numpy as np
from sklearn.neighbors import NearestNeighbors

_BATCH_SIZE = 1024  # queries at a time


def nearest(
  queries: np.ndarray,
  gallery: np.ndarray,
  num: int,
  on_queries: Callable[[int], object] = lambda number: None,
) -> tuple[np.ndarray, np.ndarray]:
  """Exact nearest neighbors by Euclidean distance.

  Args:
    queries: codes `[m, latent]`.
    gallery: codes `[n, latent]`.
    num: how many, at most n.
    on_queries: called with the number of queries that have been searched for.

  Returns:
    Distances and indices into the gallery, each `[m, num]`, the nearest first.
  """
  finder = NearestNeighbors(n_neighbors=num, algorithm="brute").fit(gallery)
  found = []
  for start in range(0, len(queries), _BATCH_SIZE):
    batch = queries[start : start + _BATCH_SIZE]
    found.append(finder.kneighbors(batch))
    on_queries(len(batch))
  distances, indices = map(np.concatenate, zip(*found, strict=True))
  return distances, indices
