"""The comparison of likelihoods of gene counts."""

import os
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from experiments import counts

WHEEL = Path(os.environ.get("CELLTYPIST_WHEEL", "celltypist.whl"))


def test_the_gaussian_of_logs_is_scipys_and_a_mass():
  x = np.arange(300, dtype=np.float32)[:, None]
  decoded = np.tile(np.float32([2.0, -0.05]), (300, 1, 1))
  edges = np.concatenate([[-np.inf], np.log(np.arange(300) + 1.5)])
  scale = np.exp(-0.5)
  mass = np.diff(stats.norm(2.0, scale).cdf(edges))
  actual = counts.gaussian_of_log(x, decoded)[:, 0]
  shown = mass > 1e-9  # SciPy's differences have digits there
  # A float32 bound near 5 is rounded by 3e-7; a mass changes by 1e-4 of itself.
  np.testing.assert_allclose(actual[shown], -np.log(mass[shown]), rtol=1e-4)
  np.testing.assert_allclose(np.exp(-actual).sum(), 1, rtol=1e-4)


@pytest.mark.slow
def test_dispersion_is_worth_its_parameters_on_real_counts():
  if not WHEEL.exists():
    pytest.skip("CELLTYPIST_WHEEL names no wheel of celltypist 1.7.1")
  rows = counts.compare(counts.read(WHEEL))
  bound = {
    row["likelihood"].partition(":")[2] or row["likelihood"]: row[
      "test_negative_elbo_nats"
    ]
    for row in rows
  }
  assert bound["negative_binomial"] < 0.95 * bound["poisson"]
  assert bound["negative_binomial"] < 1.01 * bound["gaussian_of_log"]
