"""Tests of `pca`, against scikit-learn, explicit errors and a paper."""

import doctest
import gzip
import os
import pathlib

import jax
import numpy as np
import pytest
from sklearn import datasets, decomposition

from ae_jax import pca

DIGITS = datasets.load_digits().data  # [1797, 64], 0 to 16; 3 are constant
REPOSITORY = pathlib.Path(__file__).parents[1]
DOWNLOADS = pathlib.Path(
  os.environ.get("AE_JAX_DOWNLOAD_DIR")
  or REPOSITORY.parent / "shared" / "data" / "tfds_downloads"
)

# Both sides are float64. An eigenvalue is off by a few 2^-53 of the largest, a
# direction by that over the gap to the next: 1e-10 at the smallest of digits.
RTOL = ATOL = 1e-8


def mean_squared_norm(x: np.ndarray) -> float:
  return np.mean(np.sum(x**2, axis=1))


def test_the_worked_example():
  failed, attempted = doctest.testmod(pca)
  assert failed == 0
  assert attempted > 0


@pytest.mark.parametrize(
  ("train", "rank"),
  [
    pytest.param(DIGITS, 61, id="n > d"),
    pytest.param(DIGITS[:64], 51, id="n = d"),
    pytest.param(DIGITS[:40], 39, id="n < d"),
  ],
)
def test_fit_matches_scikit_learn(train, rank):
  test = DIGITS[-100:]
  fitted = pca.fit(train)
  oracle = decomposition.PCA(rank, svd_solver="full").fit(train)

  # Beyond the rank of the data any direction is right.
  np.testing.assert_allclose(
    fitted.components[:rank], oracle.components_, atol=ATOL
  )
  np.testing.assert_allclose(
    fitted.explained_variance[:rank], oracle.explained_variance_, RTOL
  )
  np.testing.assert_allclose(
    fitted.explained_variance_ratio[:rank],
    oracle.explained_variance_ratio_,
    RTOL,
  )
  np.testing.assert_allclose(
    fitted.explained_variance[rank:],
    0,
    atol=ATOL * oracle.explained_variance_[0],
  )
  z = pca.transform(fitted, test, rank)
  # Codes and features reach 50: ATOL of that.
  np.testing.assert_allclose(z, oracle.transform(test), atol=50 * ATOL)
  np.testing.assert_allclose(
    pca.inverse(fitted, z), oracle.inverse_transform(z), atol=50 * ATOL
  )


@pytest.mark.parametrize("num_rows", [1000, 40])
def test_squared_errors_are_those_of_explicit_reconstructions(num_rows):
  train, test = DIGITS[:num_rows], DIGITS[1000:]
  fitted = pca.fit(train)
  num_components = len(fitted.components)

  for x in (train, test):
    expected = [
      mean_squared_norm(x - pca.inverse(fitted, pca.transform(fitted, x, k)))
      for k in range(num_components + 1)
    ]
    # The error of all components is a difference: 2^-53 of the first.
    np.testing.assert_allclose(
      pca.squared_errors(fitted, x), expected, RTOL, atol=1e-14 * expected[0]
    )


@pytest.mark.parametrize("num_rows", [1797, 64, 40])
def test_squared_errors_on_train_are_the_tail_of_the_eigenvalues(num_rows):
  train = DIGITS[:num_rows]
  fitted = pca.fit(train)
  variance = fitted.explained_variance * (num_rows - 1) / num_rows
  expected = np.append(np.cumsum(variance[::-1])[::-1], 0)
  # The smallest eigenvalues are off by 2^-53 of the largest.
  np.testing.assert_allclose(
    pca.squared_errors(fitted, train), expected, RTOL, atol=1e-14 * expected[0]
  )


@pytest.mark.parametrize(
  ("x", "rank"),
  [
    pytest.param(np.repeat(DIGITS[:10], 3, axis=0), 9, id="rows, n < d"),
    pytest.param(np.repeat(DIGITS[:10], 9, axis=0), 9, id="rows, n > d"),
    pytest.param(np.tile(DIGITS[:100, 2:7], 2), 5, id="columns, n > d"),
    pytest.param(np.tile(DIGITS[:9, 2:7], 2), 5, id="columns, n < d"),
    pytest.param(DIGITS[:200, [0, 2, 32, 3, 39]], 2, id="constant features"),
    pytest.param(np.full((5, 3), 2.0), 0, id="constant, n > d"),
    pytest.param(np.full((3, 5), 2.0), 0, id="constant, n < d"),
  ],
)
def test_rank_deficient_data(x, rank):
  n, d = x.shape
  fitted = pca.fit(x)
  num_components = min(n - 1, d)
  total = np.sum(np.var(x, axis=0, ddof=1))

  assert fitted.components.shape == (num_components, d)
  # Roundings of float64, a few times 2^-53, of unit vectors and of the data.
  np.testing.assert_allclose(
    fitted.components @ fitted.components.T, np.eye(num_components), atol=1e-13
  )
  np.testing.assert_allclose(
    fitted.explained_variance[rank:], 0, atol=1e-13 * total
  )
  np.testing.assert_allclose(fitted.total_variance, total, 1e-13)
  np.testing.assert_allclose(
    np.sum(fitted.explained_variance_ratio), 1 if rank else 0, 1e-13
  )
  errors = pca.squared_errors(fitted, x)
  assert np.all(errors >= 0)
  np.testing.assert_allclose(errors[rank:], 0, atol=1e-13 * total)
  z = pca.transform(fitted, x, rank)
  np.testing.assert_allclose(pca.inverse(fitted, z), x, atol=1e-12)


@pytest.mark.parametrize(
  ("x", "component", "variance"),
  [
    # Two points: (3, 0, -4) / 5 with its largest entry positive; 25 / 2.
    ([[0, 1, 0], [3, 1, -4]], [-0.6, 0, 0.8], 12.5),
    # One feature, of mean 3: (4 + 1 + 9) / 2.
    ([[1], [2], [6]], [1], 7),
    ([[1], [-1]], [1], 2),
  ],
)
def test_smallest_data(x, component, variance):
  fitted = pca.fit(np.array(x))
  np.testing.assert_allclose(fitted.mean, np.mean(x, axis=0))
  np.testing.assert_allclose(fitted.components, [component], atol=1e-15)
  np.testing.assert_allclose(fitted.explained_variance, [variance])
  np.testing.assert_allclose(fitted.explained_variance_ratio, [1])


@pytest.mark.parametrize("num_rows", [1797, 40])
def test_signs_are_a_matter_of_the_data_alone(num_rows):
  x = DIGITS[:num_rows]
  rank = 61 if num_rows == 1797 else 39
  fitted = pca.fit(x)
  permuted = pca.fit(np.random.default_rng(0).permutation(x))

  for other in (pca.fit(x), permuted):
    np.testing.assert_allclose(
      other.components[:rank], fitted.components[:rank], atol=ATOL
    )
  largest = np.argmax(np.abs(fitted.components), axis=1)
  assert np.all(fitted.components[np.arange(len(largest)), largest] > 0)


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.float32])
def test_every_type_of_input_is_float64_inside(dtype):
  # The digits are whole numbers, the same in each type.
  fitted, expected = pca.fit(DIGITS.astype(dtype)), pca.fit(DIGITS)
  # Any step in float32 would be off by 1e-7; 61 is the rank.
  np.testing.assert_allclose(
    fitted.components[:61], expected.components[:61], atol=ATOL
  )
  np.testing.assert_allclose(
    fitted.explained_variance[:61], expected.explained_variance[:61], RTOL
  )
  np.testing.assert_allclose(
    pca.squared_errors(expected, DIGITS.astype(dtype))[:61],
    pca.squared_errors(expected, DIGITS)[:61],
    RTOL,
  )


def test_arrays_of_jax_pass_through_jit():
  fitted = pca.fit(DIGITS)
  z = pca.transform(fitted, DIGITS, 10)

  @jax.jit
  def codes_and_reconstructions(x):
    z = pca.transform(fitted, x, 10)
    return z, pca.inverse(fitted, z)

  actual_z, actual_x = codes_and_reconstructions(DIGITS.astype(np.float32))
  # float32 sums of 64 terms of up to 16: 64 * 16 * 2^-24 = 6e-5.
  np.testing.assert_allclose(actual_z, z, atol=6e-5)
  np.testing.assert_allclose(actual_x, pca.inverse(fitted, z), atol=6e-5)


def test_more_components_than_there_are_is_all_of_them():
  fitted = pca.fit(DIGITS[:40])
  z = pca.transform(fitted, DIGITS[:40], 64)
  assert z.shape == (40, 39)
  # All n - 1 components span the training data; float64 of values up to 16.
  np.testing.assert_allclose(pca.inverse(fitted, z), DIGITS[:40], atol=1e-12)


@pytest.mark.parametrize("shape", [(1, 4), (0, 4), (4,), (4, 2, 2), ()])
def test_data_that_is_no_matrix_is_an_error(shape):
  with pytest.raises(ValueError, match="n >= 2") as error:
    pca.fit(np.zeros(shape))
  assert str(shape) in str(error.value)


def mnist(file: str) -> np.ndarray:
  (path,) = (DOWNLOADS / "mnist").glob(f"*_{file}-images-*.gz")
  images = np.frombuffer(
    gzip.decompress(path.read_bytes()), np.uint8, offset=16
  )
  return images.reshape(-1, 784) / 255


@pytest.mark.skipif(
  not (DOWNLOADS / "mnist").is_dir(), reason=f"no files in {DOWNLOADS}"
)
def test_mnist_matches_scikit_learn_and_hinton():
  train, test = mnist("train"), mnist("t10k")
  assert len(train) == 60_000
  assert len(test) == 10_000
  fitted = pca.fit(train)
  errors = pca.squared_errors(fitted, test)
  oracle = decomposition.PCA(100, svd_solver="covariance_eigh").fit(train)

  np.testing.assert_allclose(
    fitted.explained_variance[:100], oracle.explained_variance_, RTOL
  )
  z = oracle.transform(test)
  for k in (1, 2, 10, 30, 100):
    x_tilde = z[:, :k] @ oracle.components_[:k] + oracle.mean_
    expected = mean_squared_norm(test - x_tilde)
    np.testing.assert_allclose(errors[k], expected, RTOL)
  # Hinton and Salakhutdinov, "Reducing the Dimensionality of Data with Neural
  # Networks", 2006, figure 2: 13.87, here 13.866.
  assert errors[30] == pytest.approx(13.87, abs=0.01)
