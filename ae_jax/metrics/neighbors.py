"""Nearest neighbors of codes: retrieval and a classifier.

References:
  Manning, Raghavan and Schuetze, "Introduction to Information Retrieval",
  2008, section 8.4.
"""

import functools

import jax
import jax.numpy as jnp

from ae_jax.metrics.batching import map_batches
from ae_jax.metrics.codes import with_classes
from ae_jax.metrics.columns import DEPTHS, NUM_NEIGHBORS
from ae_jax.metrics.eval_data import EvalData
from ae_jax.metrics.over_trials import Columns
from ae_jax.types import Array

_MAX_DISTANCES = 1 << 20  # at once, as float32: about what a cache holds
_UNITS_AT_ONCE = 16  # in one pass over the distances


def compare(train: Array, held_out: Array, data: EvalData) -> Columns:
  """The columns of codes of one trial, for each held-out example."""
  classes, num_classes = data.held_out_classes, data.num_classes
  assert data.train_classes is not None
  assert classes is not None
  k = min(max(DEPTHS), len(train))
  found = data.train_classes[nearest(held_out, train, k)]
  relevant = found == classes[:, None]
  counts = jnp.bincount(data.train_classes, length=num_classes)
  voted = vote(found[:, :NUM_NEIGHBORS], num_classes)
  return {
    "knn_accuracy": (voted == classes).astype(jnp.float32),
    **{
      f"precision_at_{depth}": precision_at(relevant, depth)
      for depth in DEPTHS
      if depth <= k
    },
    "mean_average_precision": average_precision(relevant, counts[classes]),
  }


measure = functools.partial(with_classes, compare)  # the metric group


def nearest(queries: Array, gallery: Array, k: int) -> Array:
  """Exact nearest neighbors, without the matrix of all distances.

  Args:
    queries: `[m, latent]`.
    gallery: `[n, latent]`.
    k: how many, at most n.

  Returns:
    Indices into the gallery `[m, k]`, the nearest by Euclidean distance first;
    of equal ones the lower index comes first.
  """

  def of_block(q: Array) -> Array:
    return jax.lax.top_k(-squared_distances(q, gallery), k)[1]

  batch_size = max(_MAX_DISTANCES // len(gallery), 1)
  return map_batches(of_block, queries, batch_size)


def squared_distances(a: Array, b: Array) -> Array:
  """`||a - b||^2` of all pairs, by differences.

  `||a||^2 + ||b||^2 - 2ab` is no faster on a CPU, and cancels in float32 where
  codes lie far from 0, as those of clusters far apart do.

  Args:
    a: `[m, latent]`.
    b: `[n, latent]`.

  Returns:
    `[m, n]`.
  """

  def add(total: Array, units: tuple[Array, Array]) -> tuple[Array, None]:
    a, b = units
    return total + (a[:, None] - b[None]) ** 2, None

  zeros = jnp.zeros((len(a), len(b)))
  return jax.lax.scan(add, zeros, (a.T, b.T), unroll=_UNITS_AT_ONCE)[0]


def vote(neighbor_classes: Array, num_classes: int) -> Array:
  """The k-nearest-neighbor classifier, by majority.

  Args:
    neighbor_classes: `[m, k]`, integers in [0, num_classes), of the k nearest
      training examples. Of classes with as many votes the lowest is taken.
    num_classes: of all.

  Returns:
    The classes, `[m]`.

  References:
    Cover and Hart, "Nearest neighbor pattern classification", 1967.
  """
  votes = jnp.sum(jax.nn.one_hot(neighbor_classes, num_classes), axis=1)
  return jnp.argmax(votes, axis=1)


def precision_at(relevant: Array, k: int) -> Array:
  """Share of relevant results among the first k, of each query.

  Args:
    relevant: `[m, >= k]`, whether each result is of the query's class.
    k: length of the list.

  Returns:
    `[m]`, in [0, 1].
  """
  return jnp.mean(relevant[:, :k].astype(jnp.float32), axis=1)


def average_precision(relevant: Array, num_relevant: Array) -> Array:
  """The average precision within the first k results, of each query.

  `AP = sum_{i <= k} precision_at_i * relevant_i / min(k, num_relevant)`;
  0 for a query without any relevant example.

  Args:
    relevant: `[m, k]`, whether each result is of the query's class.
    num_relevant: `[m]`, how many there are in the gallery.

  Returns:
    `[m]`, in [0, 1].
  """
  k = relevant.shape[1]
  hits = relevant.astype(jnp.float32)
  precisions = jnp.cumsum(hits, axis=1) / jnp.arange(1, k + 1)[None]
  possible = jnp.clip(num_relevant, 1, k)
  return jnp.sum(precisions * hits, axis=1) / possible
