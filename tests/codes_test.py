"""Selection and quantization of codes against NumPy and SciPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.spatial import cKDTree

from ae_jax import codes

Z = np.random.default_rng(0).normal(size=(7, 12)).astype(np.float32)
MASK = (np.arange(12) < 9).astype(np.float32)


@pytest.mark.parametrize("k", [1.0, 3.0, 3.4, 9.0, 100.0])
def test_the_largest_units_of_each_code_are_kept(k):
  kept = np.asarray(jax.jit(codes.top_k)(Z, k, MASK))
  expected = np.zeros_like(Z)
  for row, z in zip(expected, Z, strict=True):
    order = np.argsort(-z[:9])[: round(k)]
    row[order] = z[order]
  np.testing.assert_array_equal(kept, expected)


@pytest.mark.parametrize("k", [1.0, 4.0, 9.0, 100.0])
def test_the_threshold_of_a_batch_keeps_its_largest_units(k):
  least = np.asarray(jax.jit(codes.batch_threshold)(Z, k, MASK))
  falling = np.sort(Z[:, :9].ravel())[::-1]
  assert least == falling[min(7 * int(k), 63) - 1]
  kept = codes.at_least(Z, least, MASK)
  np.testing.assert_array_equal(kept, np.where((least <= Z) & (MASK > 0), Z, 0))
  assert np.count_nonzero(kept) == min(7 * k, 63)


def test_units_that_equal_the_last_one_kept_are_kept_too():
  tied = jnp.array([[3.0, 1.0, 1.0, 0.5], [1.0, 2.0, 0.0, 1.0]])
  kept = [[3, 1, 1, 0], [1, 2, 0, 1]]
  np.testing.assert_array_equal(codes.top_k(tied, 2.0, jnp.ones(4)), kept)
  least = codes.batch_threshold(tied, 2.0, jnp.ones(4))
  np.testing.assert_array_equal(codes.at_least(tied, least, jnp.ones(4)), kept)


def test_the_gradient_reaches_what_is_kept():
  slope = jax.grad(lambda z: jnp.sum(codes.top_k(z, 2.0, MASK)))(Z)
  np.testing.assert_array_equal(slope, codes.top_k(Z, 2.0, MASK) != 0)


def test_quantized_parts_are_the_nearest_vectors():
  codebook = np.random.default_rng(1).normal(size=(5, 3)).astype(np.float32)
  _, index = cKDTree(codebook).query(Z.reshape(-1, 3))
  np.testing.assert_array_equal(codes.nearest(Z, codebook), index.reshape(7, 4))
  np.testing.assert_array_equal(
    codes.quantize(Z, codebook), codebook[index].reshape(7, 12)
  )
  weights = np.arange(12, dtype=np.float32)
  slope = jax.grad(lambda z: jnp.sum(codes.quantize(z, codebook) @ weights))(Z)
  np.testing.assert_array_equal(slope, np.tile(weights, (7, 1)))


@pytest.mark.parametrize(
  ("index", "weights", "expected"),
  [
    ([[0, 1], [2, 3]], [1, 1], 4),
    ([[2, 2], [2, 2]], [1, 1], 1),
    ([[0, 3], [1, 3]], [1, 0], 2),
  ],
)
def test_perplexity_counts_the_vectors_in_use(index, weights, expected):
  found = codes.perplexity(jnp.array(index), 6, jnp.array(weights, jnp.float32))
  np.testing.assert_allclose(found, expected, rtol=1e-6)  # exp of a logarithm
