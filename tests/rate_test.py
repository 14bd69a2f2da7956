"""Rounded codes that are written, against high-resolution theory."""

import functools

import jax
import numpy as np
import pytest
from random_model import DIGITS

from ae_jax import pca
from ae_jax.data import from_arrays
from ae_jax.metrics import coordinates, rate, reconstruction
from ae_jax.metrics.baselines import baselines
from ae_jax.metrics.columns import STEPS
from ae_jax.metrics.eval_data import eval_data
from ae_jax.metrics.pca_autoencoders import pca_autoencoders
from ae_jax.networks import Spec, autoencoder
from ae_jax.objectives import OBJECTIVES

SCALES = np.array([0.5, 1.0, 2.0])
S = np.sqrt(np.mean(SCALES**2))  # what steps are parts of
Z = np.random.default_rng(0).normal(3, SCALES, (60_000, 3)).astype(np.float32)
TRAIN, TEST = Z[:40_000], Z[40_000:]


@pytest.mark.parametrize("step", [0.05, 0.2])
def test_rate_and_error_of_a_gaussian_at_high_resolution(step):
  read, bits = rate.entropy_code(TRAIN, TEST, step)
  width = step * S
  # h(z) - log2(width), Cover & Thomas (2006), theorem 8.3.1.
  entropy = 0.5 * np.log2(2 * np.pi * np.e * SCALES**2) - np.log2(width)
  # Some 700 bins are learned from 40,000 codes: 0.01 bits; and the sample's.
  np.testing.assert_allclose(bits / len(TEST), entropy.sum(), rtol=5e-3)
  seen = (TRAIN.min(axis=0) <= TEST) & (TRAIN.max(axis=0) >= TEST)
  error = np.mean((read - TEST) ** 2, axis=0, where=seen)
  # Uniform within a bin; 20,000 squares.
  np.testing.assert_allclose(error, width**2 / 12, rtol=0.05)


def test_less_than_a_bit_a_unit():
  flags = (np.random.default_rng(1).random((40_000, 5)) < 0.05).astype(int)
  read, bits = rate.range_code(flags[:20_000], flags[20_000:])
  share = flags[:20_000].mean()
  entropy = -share * np.log2(share) - (1 - share) * np.log2(1 - share)
  np.testing.assert_allclose(bits / 1e5, entropy, rtol=0.05)  # by chance
  np.testing.assert_array_equal(read, flags[20_000:])


def test_a_large_step_leaves_the_mean_at_no_bits():
  read, bits = rate.entropy_code(TRAIN, TEST, 1e3)
  np.testing.assert_allclose(read, np.tile(TRAIN.mean(0), (len(TEST), 1)), 1e-5)
  assert bits <= 64


def test_codes_that_are_constant():
  constant = np.ones((7, 2), np.float32)
  read, bits = rate.entropy_code(constant, constant[:3], 0.1)
  np.testing.assert_array_equal(read, constant[:3])
  assert bits <= 64
  axes = coordinates.of_codes(constant, np.eye(2))
  np.testing.assert_array_equal(axes.of(constant), 0)
  np.testing.assert_array_equal(axes.codes(np.zeros((3, 2))), constant[:3])


def test_codes_outside_of_what_was_seen_are_drawn_in():
  read, _ = rate.entropy_code(TRAIN, np.float32([[1e9, -1e9, 3.0]]), 0.5)
  assert np.all(np.abs(read - 3) < 6 * SCALES)


def test_pca_loses_what_it_leaves_out_and_what_rounding_adds():
  rng = np.random.default_rng(2)
  x = (rng.normal(size=(4000, 6)) * [3, 2, 1, 0.1, 0.1, 0.1]).astype(np.float32)
  dataset = from_arrays(x[:3000], test=x[3000:], validation=x[:9], name="own")
  rows = baselines(eval_data(dataset), [3], ["rate", "reconstruction"])[3]
  fitted = pca.fit(x[:3000])
  scale = np.sqrt(np.mean(fitted.explained_variance[:3]))
  for step in STEPS[:3]:  # wide bins are not uniform within
    added = (
      rows[f"pca_test_squared_error_at_bin_{step}"]
      - rows["pca_test_squared_error"]
    )
    # V is orthonormal: the error of the codes is that of x. By chance 3%.
    np.testing.assert_allclose(added, 3 * (step * scale) ** 2 / 12, rtol=0.1)
  rates = [rows[f"pca_test_rate_at_bin_{step}"] for step in STEPS]
  assert rates == sorted(rates, reverse=True)


def changed(params, a):
  """A linear autoencoder whose codes are `z a`, with the same x~."""
  encoder, decoder = params["encoder"]["code"], params["decoder"]["latent"]
  return {
    "encoder": {"code": {name: p @ a for name, p in encoder.items()}},
    "decoder": {
      "latent": decoder | {"kernel": np.linalg.inv(a) @ decoder["kernel"]}
    },
  }


def test_a_rescaled_and_rotated_code_gives_the_same_points():
  """Rounding in the units' own axes gave 2.65 at 19.6 bits, not 1.07 at 31."""
  data = eval_data(DIGITS)
  spec, params, _ = pca_autoencoders(pca.fit(DIGITS.train), (64,), [16])
  params = jax.tree.map(lambda p: p[0], params)
  rng = np.random.default_rng(4)
  rotation = np.linalg.qr(rng.normal(size=(16, 16)))[0]
  scales = np.geomspace(0.01, 10, 16)
  all_params = [
    changed(params, a)
    for a in (np.eye(16), np.diag(scales), rotation * scales, rotation)
  ]
  stacked = jax.tree.map(lambda *p: np.float32(np.stack(p)), *all_params)
  columns, _ = rate.measure(spec, stacked, np.full(4, 16), data)
  for step in STEPS:
    for name in ("rate", "squared_error"):
      values = columns[f"test_{name}_at_bin_{step}"]
      # Rounding at the edge of a bin moves a number of some 20,000.
      np.testing.assert_allclose(values, values[0], rtol=2e-3)
  # PCA: scores without correlation, orthonormal components.
  fitted = pca.fit(DIGITS.train)
  train, test = (
    (x - fitted.mean) @ fitted.components[:16].T
    for x in (DIGITS.train, DIGITS.test)
  )
  width = 0.5 * np.sqrt(np.mean(train.var(axis=0)))
  low = np.rint(train / width).min(axis=0)
  high = np.rint(train / width).max(axis=0)
  rounded = np.clip(np.rint(test / width), low, high) * width
  x = rounded @ fitted.components[:16] + fitted.mean
  error = np.mean(np.sum((x - DIGITS.test) ** 2, axis=1))
  np.testing.assert_allclose(
    columns["test_squared_error_at_bin_0.5"], error, rtol=2e-3
  )


def test_codes_that_are_not_finite_have_no_rate():
  spec, params, _ = pca_autoencoders(pca.fit(DIGITS.train), (64,), [2])
  params["encoder"]["code"]["bias"] = np.float32([[np.inf, 0.0]])
  columns, _ = rate.measure(spec, params, np.array([2]), eval_data(DIGITS))
  assert all(np.isnan(value).all() for value in columns.values())


def test_a_quantized_code_is_written_as_its_indices():
  """Each unit by a histogram would take eight times the bits."""
  spec = Spec((64,), 8, widths=(), objective=OBJECTIVES["vq_vae"])
  rng = np.random.default_rng(5)
  vectors = rng.choice(DIGITS.train, 32, replace=False).astype(np.float32)
  kernel = rng.normal(size=(64, 8)).astype(np.float32)
  params = {
    "encoder": {"code": {"kernel": kernel, "bias": np.zeros(8, np.float32)}},
    "decoder": autoencoder(spec).init(jax.random.key(0))["decoder"],
    "state": {"codebook": vectors @ kernel, "count": np.ones(32, np.float32)},
  }
  stacked = jax.tree.map(lambda p: p[None], params)
  columns, _ = rate.measure(spec, stacked, np.array([8]), eval_data(DIGITS))
  index = [
    np.argmin(np.sum((z[:, None] - vectors @ kernel) ** 2, axis=-1), axis=1)
    for z in (DIGITS.train @ kernel, DIGITS.test @ kernel)
  ]
  share = (np.bincount(index[0], minlength=32) + 0.5) / (len(index[0]) + 16)
  bits = -np.sum(np.log2(share[index[1]]))
  errors = reconstruction.squared_errors(autoencoder(spec), params, DIGITS.test)
  error = np.mean(errors)
  for step in STEPS:
    # The coder writes whole words of 32 bits.
    np.testing.assert_allclose(
      columns[f"test_rate_at_bin_{step}"] * DIGITS.test.size, bits, atol=64
    )
    np.testing.assert_allclose(
      columns[f"test_squared_error_at_bin_{step}"], error, rtol=1e-5
    )


def test_squared_errors_are_those_of_each_code():
  fitted = pca.fit(TRAIN)
  spec, params, _ = pca_autoencoders(fitted, (3,), [2])
  params = jax.tree.map(lambda p: p[0], params)
  z = np.random.default_rng(3).normal(size=(70, 4, 2)).astype(np.float32)
  errors = functools.partial(rate.squared_errors, autoencoder(spec))
  actual = jax.jit(errors)(params, z, TEST[:70])
  x = z @ fitted.components[:2] + fitted.mean
  expected = np.sum((x - TEST[:70, None]) ** 2, axis=-1)
  np.testing.assert_allclose(actual, expected, rtol=1e-5)
