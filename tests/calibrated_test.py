"""VAEs whose variance is learned: they do not collapse on any data's units."""

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer
from small_sweeps import DIGITS, SHORT, TEST, run
from solo_runs import assert_equal_solo_runs

import ae_jax
from ae_jax import grid
from ae_jax.settings import functions_of
from ae_jax.types import UsageError

LEARNED = {"objective": "vae", "likelihood": "calibrated_gaussian"}


def test_it_is_the_default_of_gaussian_codes_alone():
  for name, function in ae_jax.OBJECTIVES.items():
    code = function.declaration.code if hasattr(function, "declaration") else ""
    chosen = functions_of({"objective": name})["likelihood"].__name__
    expected = "calibrated_gaussian" if code == "gaussian" else "gaussian"
    assert chosen == expected, name


@pytest.mark.parametrize(
  "scale",  # solo_test has the VAE of a shared one
  [pytest.param("shared", marks=pytest.mark.slow), "feature", "example"],
)
def test_trials_equal_their_solo_runs(scale):
  points = [
    SHORT | LEARNED | {"scale": scale, "latent_size": size} for size in (3, 6)
  ]
  assert_equal_solo_runs(points, sizes=(3,))


def test_its_parameters_are_kept_in_every_form(tmp_path):
  point = SHORT | LEARNED | {"scale": "feature", "learning_rate": 0.01}
  (trained,) = run([point], folder=tmp_path / "run")
  scale = trained.params["likelihood"]["log_scale"]
  assert scale.shape == (8, 8)
  assert scale.mean() < 0  # digits vary by less than 1
  trained.save(tmp_path / "saved")
  for folder in ("run", "saved"):
    again = ae_jax.load(tmp_path / folder)
    np.testing.assert_array_equal(
      again.params["likelihood"]["log_scale"], scale
    )
    np.testing.assert_array_equal(
      again.reconstruct(TEST), trained.reconstruct(TEST)
    )


def test_a_constant_that_is_known_exactly_keeps_the_loss_finite():
  x = np.full((200, 5), 0.25, np.float32)
  point = LEARNED | {"scale": "feature", "learning_rate": 0.1, "num_epochs": 50}
  (trained,) = ae_jax.run_sweep(
    [point | {"widths": ()}], x, metrics=["likelihood"], progress=False
  )
  assert trained.row["status"] == "ok"
  # Each of five features at the floor: log N(0; 0, e^-12) = 5.1 nats.
  assert -5 * 5.1 < trained.row["test_negative_elbo_density_nats"] < 0


def test_an_unknown_scale_is_one_line():
  with pytest.raises(UsageError, match="scale is 'pixel'; allowed: shared, f"):
    run([SHORT | LEARNED | {"scale": "pixel"}])


def of(objective, data, standardize=False, **settings):
  points = grid.product(
    objective=[objective], **{k: [v] for k, v in settings.items()}
  )
  (trained,) = ae_jax.run_sweep(
    points,
    data,
    standardize=standardize,
    metrics=["likelihood"],
    progress=False,
  )
  return trained.row


def test_a_vae_of_digits_beats_pca_where_variance_one_collapses():
  # All principal components have a variance below 1 (0.70 at most).
  x = np.concatenate([DIGITS, TEST])
  settings = {"latent_size": 8, "num_epochs": 150, "learning_rate": 3e-3}
  default = of("vae", x, **settings)
  assert default["test_kl_nats"] > 5
  assert default["test_squared_error"] < default["pca_test_squared_error"]
  fixed = of("vae", x, **settings, likelihood="gaussian")
  assert fixed["test_kl_nats"] < 1
  assert fixed["test_squared_error"] > 2 * fixed["pca_test_squared_error"]
  assert (
    default["test_negative_elbo_density_nats"]
    < fixed["test_negative_elbo_density_nats"]
  )


@pytest.mark.slow
def test_a_vae_of_standardized_columns_beats_pca():
  x = load_breast_cancer().data.astype(np.float32)
  row = of("vae", x, True, latent_size=4, num_epochs=200)
  assert row["test_squared_error"] < row["pca_test_squared_error"]


@pytest.mark.parametrize(
  ("likelihood", "levels", "ending"),
  [
    ("calibrated_gaussian", 16, "_density_nats"),
    ("bernoulli", 1, "_nats"),
    ("bernoulli", 16, "_unnormalized_nats"),
    pytest.param("logistic_mixture", 255, "_nats", marks=pytest.mark.slow),
  ],
)
def test_no_column_holds_two_kinds_of_bounds(likelihood, levels, ending):
  x = np.rint(np.concatenate([DIGITS, TEST]) * levels) / levels
  point = SHORT | {"objective": "vae", "likelihood": likelihood}
  (trained,) = ae_jax.run_sweep(
    [point | {"num_epochs": 1}],
    x.astype(np.float32),
    metrics=["likelihood"],
    progress=False,
  )
  bounds = {name for name in trained.row if name.startswith("test_nll")}
  is_mass = ending == "_nats"
  assert bounds == {f"test_nll{ending}"} | (
    {"test_nll_bits_per_dim"} if is_mass else set()
  )
  if is_mass:
    np.testing.assert_allclose(
      trained.row["test_nll_bits_per_dim"],
      trained.row["test_nll_nats"] / (64 * np.log(2)),
      rtol=1e-6,
    )
