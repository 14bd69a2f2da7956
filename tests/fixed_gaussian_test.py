"""VAEs of a Gaussian whose standard deviation is a given number."""

import jax
import numpy as np
import pytest
from scipy import stats
from small_sweeps import DIGITS, SHORT, TEST, run
from solo_runs import assert_equal_solo_runs

import ae_jax
from ae_jax import grid
from ae_jax.engine.group import groups
from ae_jax.types import UsageError

FIXED = SHORT | {"objective": "vae", "likelihood": "fixed_gaussian"}


def test_two_deviations_share_a_program_and_equal_their_solo_runs():
  points = [
    FIXED | {"sigma": sigma, "latent_size": size}
    for sigma, size in ((0.3, 3), (2.0, 6))
  ]
  assert len(groups(grid.resolve(points))) == 1
  assert_equal_solo_runs(points)


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
  folder = tmp_path_factory.mktemp("fixed") / "run"
  points = [FIXED | {"sigma": sigma} for sigma in (0.3, 1.0)]
  points.append(SHORT | {"objective": "vae", "likelihood": "gaussian"})
  options = {"folder": folder, "metrics": ["likelihood"], "progress": False}
  x = np.concatenate([DIGITS, TEST])
  return folder, ae_jax.run_sweep(points, x, **options).rows


def test_a_deviation_of_one_is_the_gaussian(kept):
  *_, one, plain = kept[1]
  bounds = [name for name in plain if name.endswith("_nats")]
  assert "test_nll_density_nats" in bounds
  for name in bounds:
    # Twelve steps of two programs, see `small_sweeps.SOLO`.
    np.testing.assert_allclose(one[name], plain[name], rtol=1e-4, err_msg=name)


def test_a_loaded_model_has_its_own_deviation(kept, tmp_path):
  trained = ae_jax.load(kept[0], sigma=0.3)
  trained.save(tmp_path / "saved")
  again = ae_jax.load(tmp_path / "saved")
  z = again.encode(TEST)
  np.testing.assert_array_equal(z, trained.encode(TEST))
  for one in (trained, again):
    decoded = one.model.decode(one.params, z)
    nll = jax.jit(one.model.nll)(TEST, decoded)
    expected = -stats.norm(np.float64(decoded), 0.3).logpdf(TEST)
    assert one.model.log_normalizer == 0
    # Sums of 64 numbers in float32.
    np.testing.assert_allclose(nll, expected.sum(axis=(1, 2)), rtol=1e-5)


@pytest.mark.parametrize("sigma", [0.0, -1.0, float("nan")])
def test_no_deviation_is_one_line(sigma):
  with pytest.raises(UsageError, match="sigma must be"):
    run([FIXED | {"sigma": sigma}])
