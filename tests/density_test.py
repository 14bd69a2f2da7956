"""Codes drawn from a fitted mixture."""

import numpy as np
import pytest

from ae_jax import density
from ae_jax.types import UsageError


def test_samples_are_distributed_as_the_codes():
  rng = np.random.default_rng(0)
  centers = np.array([[0, 0], [8, 0], [0, 8]], np.float32)
  codes = centers[rng.integers(3, size=3000)]
  codes = (codes + rng.normal(size=codes.shape)).astype(np.float32)
  drawn = density.sample_codes(codes, 3000, seed=1)
  assert drawn.shape == (3000, 2)
  assert drawn.dtype == np.float32
  for z in codes, drawn:
    near = np.linalg.norm(z[:, None] - centers[None], axis=2).argmin(1)
    # Four standard errors of a third of 3,000.
    np.testing.assert_allclose(np.bincount(near) / 3000, 1 / 3, atol=0.035)
  np.testing.assert_allclose(np.cov(drawn.T), np.cov(codes.T), atol=1.5)
  assert len(np.unique(near[:50])) == 3  # in no order
  same = density.sample_codes(codes, 3000, seed=1)
  np.testing.assert_array_equal(drawn, same)


def test_too_few_codes_are_one_line():
  with pytest.raises(UsageError, match="10 components.*got 9"):
    density.sample_codes(np.zeros((9, 2), np.float32), 3, seed=0)
