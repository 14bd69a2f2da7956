"""The aggregate posterior: closed forms, and integrals by SciPy."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from random_model import DIGITS, random_model
from scipy import integrate, stats

from ae_jax.divergences import gaussian_kl
from ae_jax.metrics import aggregate_posterior
from ae_jax.metrics.eval_data import eval_data
from ae_jax.networks import Spec, autoencoder
from ae_jax.objectives import OBJECTIVES
from ae_jax.types import Gaussian

KEY = jax.random.key(3)
STANDARD = Gaussian(jnp.zeros((1, 1)), jnp.zeros((1, 1)))


@functools.partial(jax.jit, static_argnums=2)
def measured(q, prior, num_samples=3):
  return aggregate_posterior.mutual_information_and_marginal_kl(
    KEY, q, prior, num_samples
  )


def gaussian(mean, sigma):
  mean, sigma = (np.asarray(v, np.float32) for v in (mean, sigma))
  return Gaussian(jnp.asarray(mean), jnp.asarray(2 * np.log(sigma)))


def test_examples_that_are_all_alike():
  q = gaussian(np.tile([[1.0, -2.0]], (30, 1)), np.full((30, 2), 0.3))
  prior = jax.tree.map(lambda p: jnp.zeros((1, 2)), STANDARD)
  information, marginal = measured(q, prior)
  # KL(N(m, 0.3^2 I) || N(0, I)), in float32.
  closed = 0.5 * (2 * (0.09 - 1 - np.log(0.09)) + 5)
  assert information == pytest.approx(0, abs=1e-6)
  assert marginal == pytest.approx(closed, rel=1e-6)


def test_examples_that_do_not_overlap():
  q = gaussian(np.arange(40.0)[:, None], np.full((40, 1), 0.01))
  information, marginal = measured(q, STANDARD)
  # The next component is 100 deviations away.
  assert information == pytest.approx(np.log(40), rel=1e-6)
  mean_kl = float(gaussian_kl(q, STANDARD).mean())
  assert marginal == pytest.approx(mean_kl - np.log(40), rel=1e-6)


@pytest.mark.parametrize(
  "prior", [STANDARD, gaussian([[-1.5], [2.0]], [[0.5], [1.2]])]
)
def test_parts_are_integrals(prior):
  mean, sigma = np.array([-1.0, 0.3, 1.5]), np.array([0.4, 1.0, 0.7])
  q = gaussian(np.tile(mean, 10)[:, None], np.tile(sigma, 10)[:, None])

  def density(z, mean, sigma):
    return stats.norm(mean, sigma).pdf(z[:, None]).mean(axis=1)

  z = np.linspace(-12, 12, 20001)
  mixture = density(z, mean, sigma)
  of_prior = density(
    z,
    *(
      np.asarray(v)[:, 0] for v in (prior.mean, np.exp(prior.log_variance / 2))
    ),
  )
  each = stats.norm(mean, sigma).pdf(z[:, None])
  information = integrate.simpson(
    np.sum(each * (np.log(each + 1e-300) - np.log(mixture)[:, None]), axis=1)
    / 3,
    x=z,
  )
  marginal = integrate.simpson(mixture * np.log(mixture / of_prior), x=z)
  found = measured(q, prior, 3000)
  # A log ratio has a deviation below 1.5; there are 3,000 samples of each.
  near = 4 * 1.5 / np.sqrt(30 * 3000)
  assert found[0] == pytest.approx(information, abs=near)
  assert found[1] == pytest.approx(marginal, abs=near)


def test_masked_units_do_not_count():
  rng = np.random.default_rng(0)
  q = gaussian(rng.normal(size=(70, 3)), rng.uniform(0.2, 1, size=(70, 3)))
  prior = gaussian(rng.normal(size=(2, 3)), np.full((2, 3), 0.7))
  padded = jax.tree.map(lambda v: jnp.pad(v, ((0, 0), (0, 4))), (q, prior))
  # Sums of float32 in another order.
  np.testing.assert_allclose(measured(*padded), measured(q, prior), rtol=1e-5)


def test_a_part_is_sampled_evenly(monkeypatch):
  monkeypatch.setattr(aggregate_posterior, "NUM_COMPONENTS", 3)
  _, model, params = random_model(code="gaussian")
  found = aggregate_posterior.columns(model, params, eval_data(DIGITS))
  q = model.encode(params, DIGITS.test[[0, 99, 199]])
  mean_kl = float(gaussian_kl(q, model.prior(params)).mean())
  information = found["test_mutual_information_nats"]
  assert 0 < information < np.log(3) + 1e-6
  # Float32, in batches of another size.
  assert information + found["test_marginal_kl_nats"] == pytest.approx(
    mean_kl, rel=1e-5
  )


def test_a_conditional_model_is_told_the_class():
  spec = Spec(
    (64,), 2, code="gaussian", objective=OBJECTIVES["conditional_vae"]
  )
  model = autoencoder(spec)
  params = model.init(jax.random.key(0))
  bias = np.zeros((10, 64), np.float32)
  bias[3] = 5.0
  params |= {
    "objective": {"encoder_bias": bias, "decoder_bias": 0 * bias},
    "state": {"seen": np.ones(11, np.float32)},
  }
  data = eval_data(DIGITS)
  found = aggregate_posterior.columns(model, params, data)
  prior = model.prior(params)
  of_classes = [
    gaussian_kl(model.encode(model.condition(params, k), data.test), prior)
    for k in range(10)
  ]
  kl = np.stack(of_classes)[data.test_label, np.arange(len(data.test))]
  assert np.std(of_classes, axis=0).max() > 1
  total = found["test_mutual_information_nats"] + found["test_marginal_kl_nats"]
  assert total == pytest.approx(kl.mean(), rel=1e-5)
