"""A likelihood of a user, its numbers traced."""

import jax
import jax.numpy as jnp
import numpy as np
import own_parts
import pytest
from scipy import stats
from small_sweeps import DIGITS, SHORT, TEST, run
from solo_runs import assert_equal_solo_runs

import ae_jax
from ae_jax import export, grid
from ae_jax.engine.group import groups
from ae_jax.types import UsageError

NAME = "own_parts:laplace"
LAPLACE = {"likelihood": NAME, "objective": "vae"}


def test_it_is_scipys():
  rng = np.random.default_rng(0)
  x, decoded = rng.normal(size=(2, 7, 3)).astype(np.float32)
  nll = own_parts.laplace(x, decoded, scale=0.7)
  expected = -stats.laplace.logpdf(x, decoded, 0.7).sum(axis=1)
  np.testing.assert_allclose(nll, expected, rtol=1e-5)
  counts = rng.poisson(3.0, (7, 3)).astype(np.float32)
  expected = -stats.poisson.logpmf(counts, np.exp(decoded)).sum(axis=1)
  np.testing.assert_allclose(
    own_parts.poisson(counts, decoded), expected, rtol=1e-5
  )


def test_latent_sizes_and_its_numbers_share_a_program_and_equal_solo_runs():
  points = [
    SHORT | LAPLACE | {"latent_size": size, "scale": scale}
    for size in (3, 6)
    for scale in (0.3, 1.0)
  ]
  assert len(groups(grid.resolve(points))) == 1
  assert_equal_solo_runs(points, sizes=(3,))


def test_its_numbers_are_in_every_bound(tmp_path):
  points = [SHORT | LAPLACE | {"scale": scale} for scale in (0.2, 1.0)]
  results = ae_jax.run_sweep(
    points,
    DIGITS,
    test=TEST,
    metrics=("reconstruction", "likelihood"),
    folder=tmp_path / "run",
    progress=False,
  )
  for trained in results:
    scale = trained.row["scale"]
    q = trained.model.encode(trained.params, jnp.asarray(TEST))
    draws = np.random.default_rng(0).normal(size=(64, *q.mean.shape))
    z = q.mean[None] + np.exp(0.5 * q.log_variance)[None] * draws
    decoded = np.asarray(trained.model.decode(trained.params, jnp.asarray(z)))
    each = -stats.laplace.logpdf(TEST[None], decoded, scale).sum(axis=(2, 3))
    mean = each.mean()
    # Two means over 64 draws of 100 examples: four standard errors of each.
    error = 8 * each.std(axis=0).mean() / np.sqrt(64 * len(TEST))
    found = trained.row["test_reconstruction_density_nats"]
    assert abs(found - mean) < error
  tight, wide = results.rows
  assert tight["test_kl_nats"] > wide["test_kl_nats"]


def test_loading_and_export_want_the_module_and_give_the_same(tmp_path):
  (trained,) = run([SHORT | LAPLACE], folder=tmp_path / "run")
  again = trained.reconstruct(TEST)
  with pytest.raises(UsageError, match="needs the likelihood own_parts:lapla"):
    ae_jax.load(tmp_path / "run")
  loaded = ae_jax.load(tmp_path / "run", modules=["own_parts"])
  np.testing.assert_array_equal(loaded.reconstruct(TEST), again)
  trained.export(tmp_path / "exported")
  decode = jax.export.deserialize(
    (tmp_path / "exported" / export.DECODE).read_bytes()
  ).call
  np.testing.assert_allclose(
    decode(trained.encode(TEST)), again, rtol=1e-5, atol=1e-5
  )
  saved = ae_jax.load(tmp_path / "exported", modules=["own_parts"])
  np.testing.assert_array_equal(saved.reconstruct(TEST), again)


@pytest.mark.parametrize(
  ("point", "message"),
  [
    ({"likelihood": NAME, "scale": 0.0}, r"scale must be in \[0.001, 100"),
    ({"likelihood": "laplac"}, "unknown likelihood 'laplac'"),
    ({"likelihood": "own_parts:location"}, "is no likelihood: decorate"),
    ({"likelihood": "own_parts:none"}, "cannot load likelihood"),
    ({"scale": 1.0}, "unknown hyper-parameter 'scale'"),
  ],
)
def test_a_mistake_is_one_line_before_any_training(point, message):
  with pytest.raises(UsageError, match=message):
    run([SHORT | point])


def test_data_outside_its_support_are_told():
  x = np.random.default_rng(0).normal(size=(50, 4)).astype(np.float32)
  with pytest.raises(UsageError, match=r"needs data in \[0, inf\]; these are"):
    ae_jax.run_sweep(
      [SHORT | {"likelihood": own_parts.poisson}], x, progress=False
    )


def test_it_is_no_likelihood_to_compress_with(tmp_path):
  (trained,) = run([SHORT | LAPLACE])
  with pytest.raises(UsageError, match="compression needs a VAE with output"):
    ae_jax.compression.compress(trained, TEST, tmp_path / "x.aej")
