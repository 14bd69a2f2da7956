"""Objectives that use labels or pairs, against their parts."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from small_objectives import (
  KEY,
  Z_KEY,
  X,
  batch_of,
  network,
)

from ae_jax.objectives import OBJECTIVES
from ae_jax.objectives.vae import reparameterize
from ae_jax.types import Gaussian


def test_a_conditional_vae_without_labels_is_the_vae():
  model, params = network("conditional_vae")
  batch = batch_of("conditional_vae")
  expected, _ = OBJECTIVES["vae"](model, params, Z_KEY, X)

  def loss(params, **hyper):
    return OBJECTIVES["conditional_vae"](model, params, KEY, batch, **hyper)[0]

  # The biases of the classes begin at 0.
  np.testing.assert_allclose(loss(params, labeled=1.0), expected, rtol=1e-6)
  other = params | {
    "objective": jax.tree.map(lambda b: b + 1.0, params["objective"])
  }
  np.testing.assert_allclose(loss(other, labeled=0.0), expected, rtol=1e-6)
  told = loss(other, labeled=1.0)
  some = loss(other, labeled=0.5)
  assert abs(told - expected) > 0.01
  assert min(told, expected) < some < max(told, expected)


def test_a_class_is_an_input_beside_the_others():
  """Against networks that read a one-hot class beside x and beside z."""
  model, params = network("conditional_vae", likelihood="bernoulli")
  rng = np.random.default_rng(0)
  own = {
    name: rng.normal(size=bias.shape).astype(np.float32)
    for name, bias in params["objective"].items()
  }
  params = jax.tree.map(np.asarray, params | {"objective": own})
  batch = batch_of("conditional_vae")
  loss, terms, _ = OBJECTIVES["conditional_vae"](
    model, params, KEY, batch, labeled=1.0
  )
  onehot = np.eye(10)[batch.label]

  def layer(part, name, h, *, beside=None):
    p = params[part][name]
    rows = [p["kernel"]] if beside is None else [p["kernel"], beside]
    return h @ np.concatenate(rows) + p["bias"]

  h = np.tanh(
    layer(
      "encoder",
      "hidden_0",
      np.concatenate([X, onehot], axis=1),
      beside=own["encoder_bias"],
    )
  )
  mask = np.array([1, 1, 1, 0])
  q = Gaussian(
    jnp.asarray(layer("encoder", "mean", h) * mask, jnp.float32),
    jnp.asarray(layer("encoder", "log_variance", h) * mask, jnp.float32),
  )
  z = np.asarray(reparameterize(Z_KEY, q)) * mask
  h = np.tanh(
    layer(
      "decoder",
      "latent",
      np.concatenate([z, onehot], axis=1),
      beside=own["decoder_bias"],
    )
  )
  logits = layer("decoder", "hidden_0", h)
  entropy = np.logaddexp(0, logits) - X * logits
  np.testing.assert_allclose(
    terms["reconstruction"], entropy.sum(axis=1).mean(), rtol=1e-5
  )
  np.testing.assert_allclose(loss, terms["reconstruction"] + terms["kl"])


def test_twins_share_nothing_so_that_their_ada_gvae_is_the_vae():
  model, params = network("ada_gvae")
  loss, terms = OBJECTIVES["ada_gvae"](
    model, params, KEY, jnp.stack([X, X], axis=1), beta=2.0
  )
  expected, _ = OBJECTIVES["vae"](
    model, params, KEY, jnp.concatenate([X, X]), beta=2.0
  )
  np.testing.assert_allclose(loss, expected, rtol=1e-6)
  assert terms["shared"] == 0


@pytest.mark.parametrize("content", [0.0, 1.0])
def test_a_gvae_without_one_of_its_parts(content):
  model, params = network("gvae")
  x = batch_of("gvae")
  loss, terms = OBJECTIVES["gvae"](model, params, KEY, x, content=content)
  if content == 0:  # two VAEs
    both = jnp.concatenate([x[:, 0], x[:, 1]])
    expected, _ = OBJECTIVES["vae"](model, params, KEY, both)
    assert terms["content_kl"] == 0
  else:  # one code for both
    q = [model.encode(params, x[:, i]) for i in (0, 1)]
    mean = (q[0].mean + q[1].mean) / 2
    variance = (np.exp(q[0].log_variance) + np.exp(q[1].log_variance)) / 2
    zeros = jnp.zeros((12, 4), jnp.float32)
    noise = reparameterize(KEY, Gaussian(zeros, zeros))[:6]
    decoded = model.decode(params, mean + np.sqrt(variance) * noise)
    kl = 0.5 * (mean**2 + variance - 1 - np.log(variance)).sum(axis=1)
    d = [model.nll(x[:, i], decoded) for i in (0, 1)]
    expected = np.mean(d[0] + d[1] + kl) / 2
    assert terms["style_kl"] == 0
  np.testing.assert_allclose(loss, expected, rtol=1e-6)


def test_ada_gvae_averages_the_units_that_are_nearer_than_the_middle():
  mask = np.array([1, 1, 1, 0])
  mean = np.array([[0.0, 0.1, 3.0, 0.0], [1.0, 0.2, 0.5, 0.0]])
  log_variance = np.array([[0.0, -1.0, 0.3, 0.0], [0.2, -1.1, 0.0, 0.0]])
  seen = []

  class Model(NamedTuple):
    latent_mask = mask

    def encode(self, params, x):
      return Gaussian(jnp.asarray(mean), jnp.asarray(log_variance))

    def decode(self, params, z):
      return z

    def nll(self, x, y):
      seen.append(y)
      return jnp.zeros(2)

  loss, terms = OBJECTIVES["ada_gvae"](Model(), {}, KEY, jnp.zeros((1, 2, 1)))
  # KL(N(0, 1) || N(1, e^0.2)) = 0.42, 0.02, and 3.3: the middle is 1.7.
  variance = np.exp(log_variance)
  for j in (0, 1):
    mean[:, j], variance[:, j] = mean[:, j].mean(), variance[:, j].mean()
  kl = 0.5 * (mean**2 + variance - 1 - np.log(variance)).sum(axis=1).mean()
  np.testing.assert_allclose(loss, kl, rtol=1e-6)
  np.testing.assert_allclose(terms["shared"], 2 / 3, rtol=1e-6)
  drawn = reparameterize(KEY, Gaussian(jnp.asarray(mean), np.log(variance)))
  np.testing.assert_allclose(seen[0], drawn, rtol=1e-6)
