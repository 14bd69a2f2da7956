"""Bytes with noise: bounds on the probability of bytes by a density."""

import jax
import numpy as np
import pytest
from scipy import stats
from small_sweeps import DIGITS, SHORT, SOLO, TEST

import ae_jax
from ae_jax import data, grid
from ae_jax.compression import compress
from ae_jax.metrics import likelihood
from ae_jax.metrics.eval_data import eval_data
from ae_jax.minibatch import dequantized
from ae_jax.networks import Spec
from ae_jax.training import trainer
from ae_jax.types import UsageError

BYTES = data.from_arrays(
  (255 * DIGITS).astype(np.uint8), (255 * TEST).astype(np.uint8)
)
NOISY = BYTES._replace(dequantize=True)
VAE = SHORT | {"objective": "vae"}


def test_noise_fills_the_bin_of_a_byte():
  x = np.repeat(np.float32([0, 7, 255]) / 255, 20_000)
  noise = 255 * (jax.jit(dequantized)(jax.random.key(0), x) - x)
  # U[-1/2, 1/2), but for a rounding of 6e-8 of 1; its mean and variance to four
  # standard errors of 60,000.
  assert np.all(np.abs(noise) <= 0.5 + 255 * 6e-8)
  assert abs(np.mean(noise)) < 4 * np.sqrt(1 / 12 / 60_000)
  assert abs(np.var(noise) - 1 / 12) < 4 * np.sqrt(1 / 180 / 60_000)


def linear(sigma):
  """A VAE of two features that knows its posterior, and its density."""
  w, mean = np.array([0.15, -0.1]), np.array([0.5, 0.45])
  variance = 1 / (1 + w @ w / sigma**2)
  kernel = w * variance / sigma**2
  density = stats.multivariate_normal(
    mean, np.outer(w, w) + sigma**2 * np.eye(2)
  )
  params = {
    "encoder": {
      "mean": {"kernel": kernel[:, None], "bias": -mean @ kernel[:, None]},
      "log_variance": {
        "kernel": np.zeros((2, 1)),
        "bias": np.log([variance]),
      },
    },
    "decoder": {"latent": {"kernel": w[None], "bias": mean}},
    "numbers": {"sigma": np.array(sigma)},
  }
  return jax.tree.map(lambda p: p[None].astype(np.float32), params), density


@pytest.mark.parametrize("sigma", [0.5 / 255, 0.05])
def test_the_bound_is_on_the_probability_of_bytes(sigma):
  params, density = linear(sigma)
  x = density.rvs(600, random_state=0)
  x = np.clip(np.rint(255 * x), 0, 255).astype(np.uint8)
  dataset = data.from_arrays(x[:2], x)._replace(
    validation=None, dequantize=True
  )
  spec = Spec((2,), 1, widths=(), code="gaussian", likelihood="fixed_gaussian")
  columns, _ = likelihood.measure(
    spec, params, np.array([1]), eval_data(dataset)
  )
  (bound,) = columns["test_nll_nats"]
  # Integrals of the density over the bins.
  half = 0.5 / 255
  mass = np.array(
    [density.cdf(v + half, lower_limit=v - half) for v in x / 255]
  )
  truth = -np.mean(np.log(mass))
  # E_u[log p(x + u)] in closed form: p is Gaussian, u of variance 255^-2 / 12.
  precision = np.linalg.inv(density.cov)
  gap = 0.5 * np.trace(precision) / 12 / 255**2
  expected = 2 * np.log(255) - np.mean(density.logpdf(x / 255)) + gap
  slope = (x / 255 - density.mean) @ precision
  error = np.sqrt(np.mean(slope**2) * 2 / 12 / 255**2 / len(x))
  # Four standard errors of the draw of u, and sums of float32.
  assert abs(bound - expected) < 4 * error + 1e-4
  assert expected >= truth
  if sigma > 0.01:  # a density that hardly changes within a bin
    assert expected - truth < 1e-3
  else:
    assert expected - truth > 0.01


def shows(model, params, key, batch):
  loss = 0 * params["decoder"]["latent"]["bias"].sum()
  return loss, {"one": batch[0, 0], "mean": batch.mean()}


def test_a_step_draws_anew():
  run = trainer(
    shows, Spec((6,), 2), num_epochs=50, batch_size=4, draw="dequantize"
  )
  x = np.full((4, 6), 51, np.uint8)
  hyper = {"learning_rate": 1e-3}
  _, history = jax.jit(run.train)(jax.random.key(0), hyper, x)
  assert len(np.unique(history["one"])) > 40
  assert np.all(np.abs(history["one"] - 0.2) < 0.5 / 255 + 1e-6)


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
  folder = tmp_path_factory.mktemp("noisy") / "run"
  points = [VAE | {"latent_size": size} for size in (2, 4)]
  options = {"metrics": [], "progress": False}
  return folder, ae_jax.run_sweep(points, NOISY, folder=folder, **options)


def test_a_padded_lane_equals_its_solo_run(kept):
  trial = grid.resolve([VAE | {"latent_size": 2}])[0]
  one = trainer(
    trial.objective,
    trial.spec((8, 8), 2),
    num_epochs=trial.settings["num_epochs"],
    batch_size=trial.settings["batch_size"],
    optimizer=trial.optimizer,
    draw="dequantize",
  )
  hyper = {k: v for k, v in trial.hyper.items() if k != "latent_size"}
  state, _ = jax.jit(one.train)(jax.random.key(0), hyper, NOISY.train)
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, **SOLO),
    kept[1][0].params,
    state.params,
  )


def test_bounds_are_in_bits_per_byte(kept):
  folder, results = kept
  for row in ae_jax.evaluate(folder, ["likelihood"]).rows:
    assert not [name for name in row if "density" in name]
    bits = row["test_nll_nats"] / (64 * np.log(2))
    np.testing.assert_allclose(row["test_nll_bits_per_dim"], bits, rtol=1e-6)
    # After twelve steps from a deviation of 1: no more than a guess of a few
    # bins more than there are.
    assert 4 < bits < 10
    parts = row["test_reconstruction_nats"] + row["test_kl_nats"]
    np.testing.assert_allclose(row["test_negative_elbo_nats"], parts, rtol=1e-5)
  # A trained model sees the middle of the bin of a byte, x / 255.
  trained = results[0]
  np.testing.assert_array_equal(
    trained.encode(NOISY.test), trained.encode(NOISY.test / np.float32(255))
  )


@pytest.mark.parametrize(
  ("dataset", "likelihood", "message"),
  [
    (data.from_arrays(DIGITS), "gaussian", "needs bytes"),
    (
      data.from_arrays(BYTES.train, standardize=True),
      "gaussian",
      "needs bytes",
    ),
    (BYTES._replace(binarize=True), "gaussian", "nor binarized"),
    (BYTES, "logistic_mixture", "it is 'logistic_mixture'"),
    (BYTES, "continuous_bernoulli", "density of any numbers"),
  ],
)
def test_noise_that_means_nothing_is_one_line(dataset, likelihood, message):
  with pytest.raises(UsageError, match=message):
    ae_jax.run_sweep(
      [VAE | {"likelihood": likelihood}],
      dataset._replace(dequantize=True),
      progress=False,
    )


def test_compression_needs_another_likelihood(kept, tmp_path):
  with pytest.raises(UsageError, match="logistic_mixture"):
    compress(kept[1][0], NOISY.test, tmp_path / "x.aej")
