"""Bounds on the log-likelihood, where it is known in closed form."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats
from sklearn.datasets import load_digits

from ae_jax.metrics import likelihood
from ae_jax.networks import Spec, autoencoder

X = (load_digits().data / 16).astype(np.float32)


def linear_gaussian_model(orthogonal):
  """p(x|z) = N(W z + m, I), its q(z|x) exact if W has orthogonal columns.

  The posterior is N(S W^T (x - m), S), S = (I + W^T W)^-1.
  """
  rng = np.random.default_rng(0)
  w = rng.normal(size=(64, 3)) * 0.4
  if orthogonal:
    w = np.linalg.qr(w)[0] * [2.0, 1.0, 0.5]
  mean = rng.normal(size=64)
  posterior = np.linalg.inv(np.eye(3) + w.T @ w)
  spec = Spec((64,), latent_size=3, widths=(), code="gaussian")
  params = {
    "encoder": {
      "mean": {
        "kernel": w @ posterior,
        "bias": -mean @ w @ posterior,
      },
      "log_variance": {
        "kernel": np.zeros((64, 3)),
        "bias": np.log(np.diag(posterior)),
      },
    },
    "decoder": {"latent": {"kernel": w.T, "bias": mean}},
  }
  x = rng.normal(size=(80, 3)) @ w.T + mean + rng.normal(size=(80, 64))
  exact = -stats.multivariate_normal(mean, w @ w.T + np.eye(64)).logpdf(x)
  params = jax.tree.map(lambda p: p.astype(np.float32), params)
  return autoencoder(spec), params, x.astype(np.float32), exact


def test_the_bounds_are_exact_where_the_posterior_is():
  model, params, x, exact = linear_gaussian_model(orthogonal=True)
  found, _ = likelihood.elbo_and_iwae(model, params, jax.random.key(0), x, 4)
  values = {name: np.mean(value) for name, value in found.items()}
  # q = p(z|x): all weights are p(x). float32 sums of about 90 nats.
  np.testing.assert_allclose(values["nll"], exact.mean(), rtol=1e-5)
  # The ELBO's reconstruction is drawn: 4 x 80 draws of a deviation of about 3.
  assert abs(values["negative_elbo"] - exact.mean()) < 4 * 3 / np.sqrt(320)
  np.testing.assert_allclose(
    values["negative_elbo"], values["reconstruction"] + values["kl"], rtol=1e-6
  )


def test_the_bound_tightens_to_the_exact_likelihood():
  model, params, x, exact = linear_gaussian_model(orthogonal=False)
  bounds = [
    float(
      jax.jit(
        lambda k=k: likelihood.elbo_and_iwae(
          model, params, jax.random.key(0), x, k
        )
      )()[0]["nll"].mean()
    )
    for k in (1, 16, 1024)
  ]
  assert bounds[0] > bounds[1] > bounds[2] - 0.01
  # Var[w] / (2 K E[w]^2) is below 0.005 at K = 1024 here, the noise of a mean
  # over 80 examples about as large.
  assert bounds[2] == pytest.approx(exact.mean(), abs=0.02)


def test_active_units():
  assert likelihood.active_units(jnp.array([0.0, 0.0099, 0.0101, 4.0])) == 2
  spec = Spec((64,), latent_size=2, widths=(), code="gaussian")
  model = autoencoder(spec)
  params = model.init(jax.random.key(0))
  kernel = np.zeros((64, 2), np.float32)
  kernel[20, 0] = 1.0
  params["encoder"]["mean"]["kernel"] = kernel
  _, units = likelihood.elbo_and_iwae(model, params, jax.random.key(0), X, 1)
  variance = units["mean"].var(axis=0)
  np.testing.assert_allclose(variance, [X[:, 20].var(), 0], atol=1e-6)
