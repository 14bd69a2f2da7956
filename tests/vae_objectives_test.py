"""Objectives of Gaussian codes: limits, bounds, closed forms."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import scipy.stats
from small_objectives import (
  KEY,
  Z_KEY,
  X,
  network,
  params_of,
)

from ae_jax.networks import Spec, autoencoder
from ae_jax.objectives import OBJECTIVES
from ae_jax.objectives.vae import reparameterize
from ae_jax.types import Gaussian


def test_vae_without_noise_and_divergence_is_the_plain_autoencoder():
  model, params = network("vae")
  head = params["encoder"]["log_variance"]
  params["encoder"]["log_variance"] = {
    "kernel": 0 * head["kernel"],
    "bias": head["bias"] - 100.0,  # sigma = e^-50: no noise in float32
  }
  plain = model._replace(encode=lambda p, x: model.encode(p, x).mean)
  loss, _ = OBJECTIVES["vae"](model, params, KEY, X, beta=0.0)
  expected, _ = OBJECTIVES["autoencoder"](plain, params, KEY, X)
  np.testing.assert_allclose(loss, expected, rtol=1e-6)


def test_vae_reconstruction_is_the_expectation_over_q():
  # A linear decoder: E|x - Wz - b|^2 = |x - Wm - b|^2 + sum_j s_j^2 |W_j|^2.
  model, params = network("vae", latent_size=4, widths=())
  q = model.encode(params, X)
  kernel = params["decoder"]["latent"]["kernel"]
  at_mean = 0.5 * np.sum((X - model.decode(params, q.mean)) ** 2, axis=1)
  spread = 0.5 * np.exp(q.log_variance) @ np.sum(kernel**2, axis=1)
  keys = jax.random.split(KEY, 20_000)
  draws = jax.jit(
    jax.vmap(
      lambda k: OBJECTIVES["vae"](model, params, k, X)[1]["reconstruction"]
    )
  )(keys)
  error = np.std(draws) / np.sqrt(len(draws))
  assert abs(np.mean(draws) - np.mean(at_mean + spread)) < 4 * error


def test_vae_loss_is_reconstruction_plus_beta_times_kl():
  model, params = network("vae")
  loss, terms = OBJECTIVES["vae"](model, params, KEY, X, beta=3.0)
  np.testing.assert_allclose(
    loss, terms["reconstruction"] + 3.0 * terms["kl"], rtol=1e-6
  )


@pytest.mark.parametrize(
  ("name", "off"),
  [
    ("dip_vae", {"off_diagonal": 0.0, "diagonal": 0.0}),
    ("info_vae", {"alpha": 0.0, "strength": 1.0}),
    ("capacity_vae", {"strength": 1.0, "capacity": 0.0}),
    ("beta_tcvae", {"beta": 1.0}),
  ],
)
def test_a_vae_without_its_penalty_is_the_vae(name, off):
  model, params = network(name)
  z_key = Z_KEY if name == "info_vae" else KEY
  expected, _ = OBJECTIVES["vae"](model, params, z_key, X)
  loss, _ = OBJECTIVES[name](model, params, KEY, X, **off)
  np.testing.assert_allclose(loss, expected, rtol=1e-6)


def test_a_vamp_vae_is_the_vae_of_its_mixture():
  model, params = network("vamp_vae")
  pseudo = params["objective"]["pseudo_inputs"]
  assert pseudo.shape == (64, 5)
  own = params | {"objective": {"pseudo_inputs": pseudo[:2]}}
  loss, terms = OBJECTIVES["vamp_vae"](model, own, KEY, X, beta=2.0)
  q, prior = model.encode(params, X), model.encode(params, pseudo[:2])
  z = np.asarray(reparameterize(KEY, q))[:, :3]

  def density(q):
    scale = np.exp(0.5 * np.asarray(q.log_variance)[:, :3])
    return scipy.stats.norm(np.asarray(q.mean)[:, :3], scale)

  log_q = density(q).logpdf(z).sum(axis=1)
  p = density(prior).pdf(z[:, None]).prod(axis=2).mean(axis=1)
  np.testing.assert_allclose(terms["kl"], np.mean(log_q - np.log(p)), rtol=1e-5)
  expected = terms["reconstruction"] + 2 * terms["kl"]
  np.testing.assert_allclose(loss, expected, rtol=1e-6)


def test_a_factor_vae_of_no_weight_is_the_vae_beside_its_discriminator():
  model, params = network("factor_vae")
  loss = OBJECTIVES["factor_vae"]
  own, gradient = jax.value_and_grad(
    lambda p: loss(model, p, KEY, X, gamma=0.0)[0]
  )(params)
  expected, plain = jax.value_and_grad(
    lambda p: OBJECTIVES["vae"](model, p, Z_KEY, X)[0]
  )(params)
  _, terms = loss(model, params, KEY, X, gamma=0.0)
  np.testing.assert_allclose(
    own, expected + terms["discriminator_loss"], rtol=1e-6
  )
  for part in ("encoder", "decoder"):  # the discriminator's loss stops there
    jax.tree.map(
      lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7),
      gradient[part],
      plain[part],
    )


def test_the_weight_of_factor_vae_does_not_reach_the_discriminator():
  model, params = network("factor_vae")

  def gradient(gamma):
    return jax.grad(
      lambda p: OBJECTIVES["factor_vae"](model, p, KEY, X, gamma=gamma)[0]
    )(params)

  none, much = gradient(0.0), gradient(100.0)
  jax.tree.map(
    np.testing.assert_array_equal, none["objective"], much["objective"]
  )
  assert np.any(
    none["encoder"]["mean"]["bias"] != much["encoder"]["mean"]["bias"]
  )


@pytest.mark.slow
def test_a_trained_discriminator_knows_the_total_correlation():
  # Codes that are all noise but for a shared part: TC of a 2-d Gaussian with
  # correlation r is -log(1 - r^2) / 2.
  rng = np.random.default_rng(0)
  r = 0.9
  noise = rng.normal(size=(1000, 2)).astype(np.float32)
  x = noise @ np.linalg.cholesky([[1, r], [r, 1]]).T.astype(np.float32)
  small = jnp.full((1000, 2), -20.0)  # q(z|x) is a point
  model = autoencoder(Spec((2,), 2, widths=(), code="gaussian"))
  model = model._replace(encode=lambda p, x: Gaussian(x, small))
  params = params_of("factor_vae", model)
  adam = optax.adam(1e-2)

  @jax.jit
  def train(own, key):
    def step(carry, key):
      own, state = carry

      def loss(own):
        _, terms = OBJECTIVES["factor_vae"](
          model, params | {"objective": own}, key, x
        )
        return terms["discriminator_loss"], terms["total_correlation"]

      gradient, found = jax.grad(loss, has_aux=True)(own)
      updates, state = adam.update(gradient, state)
      return (optax.apply_updates(own, updates), state), found

    carry = own, adam.init(own)
    return jax.lax.scan(step, carry, jax.random.split(key, 300))[1]

  found = np.mean(train(params["objective"], KEY)[-100:])
  exact = -0.5 * np.log(1 - r**2)
  assert abs(found - exact) < 0.15 * exact  # a net of 128 units, 1,000 codes


def sampled_elbo(model, params, key, x):
  """The negative evidence lower bound, its divergence by the sample too."""
  q = model.encode(params, x)
  z = reparameterize(key, q)
  ratio = jnp.sum(
    0.5 * z**2 - 0.5 * ((z - q.mean) ** 2 / jnp.exp(q.log_variance))
    - 0.5 * q.log_variance,
    axis=-1,
  )  # fmt: skip
  return jnp.mean(model.nll(x, model.decode(params, z)) + ratio)


@pytest.mark.parametrize("free_bits", [0.0, 0.05, 100.0])
def test_free_bits_are_a_floor_of_each_unit(free_bits):
  model, params = network("vae")  # of three units, and a masked one
  beta = 2.0

  def loss(p, **hyper):
    return OBJECTIVES["vae"](model, p, KEY, X, beta=beta, **hyper)[0]

  q = model.encode(params, X)
  of_units = 0.5 * np.mean(
    q.mean**2 + np.exp(q.log_variance) - 1 - q.log_variance, axis=0
  )
  _, terms = OBJECTIVES["vae"](model, params, KEY, X)
  floored = np.maximum(of_units, free_bits)[:3].sum()
  expected = terms["reconstruction"] + beta * floored
  found = loss(params, free_bits=free_bits)
  np.testing.assert_allclose(found, expected, rtol=1e-5)
  np.testing.assert_allclose(terms["kl"], of_units.sum(), rtol=1e-5)
  if free_bits == 0:
    assert found == loss(params)
  if free_bits == 100:  # beyond all units: there is no penalty to follow
    gradient = jax.grad(lambda p: loss(p, free_bits=free_bits))(params)
    without = jax.grad(
      lambda p: OBJECTIVES["vae"](model, p, KEY, X, beta=0.0)[0]
    )(params)
    jax.tree.map(
      # Two gradients of the divergence that cancel.
      lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5),
      gradient,
      without,
    )


def test_the_sampled_bound_is_the_limit():
  model, params = network("iwae")
  loss, _ = OBJECTIVES["iwae"](model, params, KEY, X, num_samples=1)
  # Logarithms of densities that cancel.
  np.testing.assert_allclose(
    loss, sampled_elbo(model, params, KEY, X), rtol=3e-6
  )


def test_the_three_parts_add_up_to_the_sampled_divergence():
  model, params = network("beta_tcvae")
  weights = {"beta": 4.0, "information_weight": 2.0, "unit_weight": 0.5}
  loss, terms = OBJECTIVES["beta_tcvae"](model, params, KEY, X, **weights)
  parts = [terms[k] for k in ("information", "total_correlation", "unit_kl")]
  sampled = sampled_elbo(model, params, KEY, X) - terms["reconstruction"]
  # Logarithms of densities that cancel.
  np.testing.assert_allclose(sum(parts), sampled, rtol=1e-4, atol=1e-5)
  expected = (
    terms["reconstruction"]
    + terms["kl"] - sampled
    + np.dot([2.0, 4.0, 0.5], parts)
  )  # fmt: skip
  np.testing.assert_allclose(loss, expected, rtol=1e-5)


def test_the_closed_form_of_the_divergence_lowers_the_noise_of_gradients():
  model, params = network("beta_tcvae")

  def gradients(sampled):
    def of_key(key):
      def loss(p):
        value, terms = OBJECTIVES["beta_tcvae"](model, p, key, X, beta=2.0)
        parts = ("information", "total_correlation", "unit_kl")
        rest = sum(terms[k] for k in parts) - terms["kl"]
        return value + sampled * rest

      return jax.grad(loss)(params)["encoder"]["log_variance"]["bias"]

    return np.asarray(jax.jit(jax.vmap(of_key))(jax.random.split(KEY, 2000)))

  closed, sampled = gradients(0.0), gradients(1.0)
  error = np.std(sampled - closed, axis=0) / np.sqrt(len(closed))
  # <=: a masked unit has no gradient.
  assert np.all(abs(np.mean(sampled - closed, axis=0)) <= 5 * error)
  assert np.sum(np.var(closed, axis=0)) < np.sum(np.var(sampled, axis=0))


def test_estimates_from_a_batch_are_biased():
  # q(z) = N(0, I) of 10 independent units: I = 10/2 log 10, TC = 0.
  rng = np.random.default_rng(0)
  means = rng.normal(size=(64, 10), scale=np.sqrt(0.9)).astype(np.float32)
  log_variance = np.full((64, 10), np.log(0.1), np.float32)
  model = autoencoder(Spec((5,), 10, widths=(), code="gaussian"))
  params = model.init(KEY)
  fixed = model._replace(encode=lambda p, x: Gaussian(means, log_variance))
  x = np.zeros((64, 5), np.float32)
  _, terms = OBJECTIVES["beta_tcvae"](fixed, params, KEY, x)
  assert terms["information"] <= np.log(64) < 0.5 * 10 * np.log(10)
  assert terms["total_correlation"] > 5


def test_the_importance_weighted_bound_rises_with_the_samples():
  model, params = network("iwae")
  keys = jax.random.split(KEY, 500)
  losses = [
    jax.jit(
      jax.vmap(
        lambda k, n=n: OBJECTIVES["iwae"](model, params, k, X, num_samples=n)[0]
      )
    )(keys)
    for n in (1, 5, 50)
  ]
  means = np.mean(losses, axis=1)
  errors = np.std(losses, axis=1) / np.sqrt(len(keys))
  assert means[0] - means[1] > 4 * errors[0]
  assert means[1] - means[2] > 4 * errors[1]
  vae = jax.vmap(lambda k: OBJECTIVES["vae"](model, params, k, X)[0])(keys)
  assert abs(means[0] - np.mean(vae)) < 4 * errors[0]


def test_doubly_reparameterized_gradients_have_the_mean_and_less_noise():
  model, params = network("iwae")

  def gradients(doubly):
    def of_key(key):
      gradient = jax.grad(
        lambda p: OBJECTIVES["iwae"](
          model, p, key, X, num_samples=8, doubly_reparameterized=doubly
        )[0]
      )(params)
      return gradient["encoder"]["mean"], gradient["decoder"]

    return jax.jit(jax.vmap(of_key))(jax.random.split(KEY, 5_000))

  (encoder, decoder), (plain, same) = gradients(True), gradients(False)
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5),
    decoder,
    same,
  )
  for leaf, other in zip(
    jax.tree.leaves(encoder), jax.tree.leaves(plain), strict=True
  ):
    variances = np.var(leaf, axis=0), np.var(other, axis=0)
    assert np.mean(variances[0]) < np.mean(variances[1])
    errors = np.sqrt((variances[0] + variances[1]) / len(leaf))
    # Fifteen numbers: five standard errors.
    assert np.all(
      np.abs(np.mean(leaf, axis=0) - np.mean(other, axis=0)) < 5 * errors + 1e-7
    )


def test_dip_penalizes_the_covariance_of_numpy():
  model, params = network("dip_vae", latent_size=4)
  q = model.encode(params, X)
  of_means = np.cov(q.mean.T, bias=True)
  of_codes = of_means + np.diag(np.mean(np.exp(q.log_variance), axis=0))
  for kind, covariance in {"I": of_means, "II": of_codes}.items():
    _, terms = OBJECTIVES["dip_vae"](
      model, params, KEY, X, off_diagonal=2.0, diagonal=3.0, kind=kind
    )
    diagonal = np.diag(covariance)
    off = np.sum(covariance**2) - np.sum(diagonal**2)
    expected = 2 * off + 3 * np.sum((diagonal - 1) ** 2)
    np.testing.assert_allclose(terms["penalty"], expected, rtol=1e-5)
