"""The residual MLP, and dropout, whose rate is a number."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from small_sweeps import DIGITS, HIDDEN, TEST, run

import ae_jax
from ae_jax import grid
from ae_jax.engine.group import groups
from ae_jax.networks.residual_mlp import drop
from ae_jax.types import UsageError

RESIDUAL = {"network": "residual_mlp", "objective": "autoencoder"}


def test_residual_blocks_match_numpy():
  spec = ae_jax.Spec((6,), 2, "residual_mlp", (5,), options=(("blocks", 1),))
  model = ae_jax.autoencoder(spec)
  rng = np.random.default_rng(0)
  params = jax.tree.map(
    lambda p: rng.normal(size=p.shape).astype(np.float32),
    model.init(jax.random.key(0)),
  )
  x = rng.normal(size=(7, 6)).astype(np.float32)
  encoder = params["encoder"]

  def dense(layer, h):
    return h @ layer["kernel"] + layer["bias"]

  h = dense(encoder["first"], x)
  block = encoder["block_0"]
  deviation = np.sqrt(h.var(axis=1, keepdims=True) + 1e-6)
  normal = (h - h.mean(axis=1, keepdims=True)) / deviation
  normal = normal * block["norm"]["scale"] + block["norm"]["bias"]
  hidden = np.maximum(dense(block["first"], normal), 0)
  h = h + dense(block["second"], hidden)
  np.testing.assert_allclose(
    model.encode(params, x), dense(encoder["code"], h), rtol=1e-4, atol=1e-5
  )


def test_dropout_is_of_training_alone_and_its_rate_is_a_number():
  points = [
    HIDDEN | RESIDUAL | {"dropout": rate, "blocks": 1} for rate in (0.0, 0.5)
  ]
  assert len(groups(grid.resolve(points))) == 1
  results = run(points)
  assert results[0].row["loss"] != results[1].row["loss"]
  for trained in results:
    np.testing.assert_array_equal(
      trained.encode(TEST), trained.encode(TEST)
    )  # without noise
  spec = results[0].spec
  plain = ae_jax.trainer(
    ae_jax.OBJECTIVES["autoencoder"], spec, num_epochs=3, batch_size=64
  )
  # At rate 0 it is the network without dropout: the same loss at every epoch.
  _, history = jax.jit(plain.train)(
    jax.random.key(0), {"learning_rate": 1e-3, "dropout": 0.0}, DIGITS
  )
  np.testing.assert_allclose(
    results[0].history["loss"], history["loss"], rtol=1e-5
  )


def test_dropout_keeps_the_mean_and_drops_the_share():
  x = jnp.ones((400, 500))
  dropped = np.asarray(drop(jax.random.key(0), x, 0.3))
  share = np.mean(dropped == 0)
  # Four standard errors of 200,000 draws.
  assert abs(share - 0.3) < 4 * np.sqrt(0.3 * 0.7 / x.size)
  np.testing.assert_allclose(dropped[dropped != 0], 1 / 0.7, rtol=1e-6)


def test_the_noise_of_a_step_is_that_of_its_key():
  spec = ae_jax.Spec((64,), 3, "residual_mlp", (16,))
  one = ae_jax.trainer(ae_jax.OBJECTIVES["autoencoder"], spec, num_epochs=1)
  hyper = {"learning_rate": 1e-3, "dropout": 0.5}
  x = DIGITS[:32].reshape(32, 64)
  state, step = jax.jit(one.init)(jax.random.key(0), hyper), jax.jit(one.step)
  (_, terms), (_, again) = (step(state, x, hyper) for _ in range(2))
  assert terms["loss"] == again["loss"]
  _, other = step(state._replace(step=state.step + 1), x, hyper)
  assert other["loss"] != terms["loss"]


def test_two_widths_are_none_of_a_residual_network():
  with pytest.raises(UsageError, match=r"needs one width, got widths \(8, 4\)"):
    run([HIDDEN | RESIDUAL | {"widths": (8, 4)}])
