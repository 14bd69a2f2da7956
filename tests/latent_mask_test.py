"""Initialization, and a mask that makes a network a smaller one."""

import dataclasses
import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from small_networks import (
  ARCHITECTURES,
  ARCHITECTURES_AND_CODES,
  TOLERANCE,
  any_params,
  assert_trees_close,
  images,
  normal,
  padding,
  quick_jit,
)

from ae_jax import networks
from ae_jax.networks import Spec, autoencoder
from ae_jax.types import Gaussian


def loss(model, params, x):
  """A loss that sees every output of encoder and decoder."""
  code = model.encode(params, x)
  z = code
  if isinstance(code, Gaussian):
    z = code.mean + jnp.exp(0.5 * code.log_variance)
  distance = model.nll(x, model.decode(params, z))
  return jnp.mean(distance) + sum(
    jnp.mean(jnp.sum(jnp.sin(leaf), axis=-1)) for leaf in jax.tree.leaves(code)
  )


@pytest.mark.parametrize(
  ("spec", "fan_in"),
  [
    (
      Spec((1000,), 64, widths=()),
      {"encoder/code": 1000, "decoder/latent": 16},
    ),
    (
      Spec((20, 25), 64, widths=(300, 200), code="gaussian"),
      {
        "encoder/hidden_0": 500,
        "encoder/hidden_1": 300,
        "encoder/mean": 200,
        "encoder/log_variance": 200,
        "decoder/latent": 16,
        "decoder/hidden_0": 200,
        "decoder/hidden_1": 300,
      },
    ),
    (
      Spec((8, 8, 20), 64, network="conv", widths=(40, 50)),
      {
        "encoder/hidden_0": 9 * 20,
        "encoder/hidden_1": 9 * 40,
        "encoder/code": 2 * 2 * 50,
        "decoder/latent": 16,
        "decoder/hidden_0": 9 * 50,
        "decoder/hidden_1": 9 * 40,
      },
    ),
  ],
  ids=["linear", "mlp", "conv"],
)
def test_initial_variance_is_one_over_the_true_fan_in(spec, fan_in):
  model = autoencoder(spec, latent_size=16)  # 16 units pipeline the decoder
  params = networks.unpad(quick_jit(model.init)(jax.random.key(0)), 16)
  layers = {
    f"{part}/{name}": layer
    for part in params
    for name, layer in params[part].items()
  }
  assert layers.keys() == fan_in.keys()
  for name, layer in layers.items():
    np.testing.assert_array_equal(layer["bias"], 0)
    kernel = np.asarray(layer["kernel"], float)
    # 4 standard errors of a mean, and of the variance of a Gaussian; the
    # truncated one that is drawn has lighter tails.
    deviation = np.std(kernel)
    assert abs(np.mean(kernel)) < 4 * deviation / math.sqrt(kernel.size), name
    ratio = np.var(kernel) * fan_in[name]
    assert abs(ratio - 1) < 4 * math.sqrt(2 / kernel.size), name


@pytest.mark.parametrize("architecture", ARCHITECTURES[::2])
def test_initial_masked_network_is_the_smaller_network(architecture):
  spec = Spec(latent_size=8, code="gaussian", **architecture)
  small = autoencoder(spec)
  masked = autoencoder(dataclasses.replace(spec, latent_size=64), latent_size=8)
  np.testing.assert_array_equal(masked.latent_mask, np.arange(64) < 8)
  np.testing.assert_array_equal(small.latent_mask, np.ones(8))

  key = jax.random.key(0)
  params = quick_jit(masked.init)(key)

  # The same draws; sqrt(1/64) sqrt(64/8) and sqrt(1/8) differ in a last bit.
  assert_trees_close(
    networks.unpad(params, 8), quick_jit(small.init)(key), rtol=5e-7
  )
  for leaf in padding(params, 8):
    np.testing.assert_array_equal(leaf, 0)


@pytest.mark.parametrize("architecture", ARCHITECTURES[1:4:2])
def test_initialization_can_be_vmapped_over_latent_sizes(architecture):
  spec = Spec(latent_size=8, **architecture)
  sizes = [1, 3]
  keys = jax.random.split(jax.random.key(0), len(sizes))

  def init(key, latent_size):
    return autoencoder(spec, latent_size).init(key)

  stacked = quick_jit(jax.vmap(init))(keys, np.array(sizes))

  for i, size in enumerate(sizes):
    small = autoencoder(dataclasses.replace(spec, latent_size=size))
    params = jax.tree.map(lambda leaf, i=i: leaf[i], stacked)
    # The same draws, with a last bit of the scale as above.
    assert_trees_close(
      networks.unpad(params, size), quick_jit(small.init)(keys[i]), rtol=5e-7
    )
    for leaf in padding(params, size):
      np.testing.assert_array_equal(leaf, 0)


@pytest.mark.parametrize(("architecture", "code"), ARCHITECTURES_AND_CODES)
def test_masked_network_computes_as_the_smaller_network(architecture, code):
  spec = Spec(latent_size=8, code=code, **architecture)
  small = autoencoder(spec)
  masked = autoencoder(dataclasses.replace(spec, latent_size=64), latent_size=8)
  params = any_params(masked)
  x, z = images(spec, 5), normal(5, 64)

  def functions(model, params, z):
    value_and_grad = jax.value_and_grad(loss, argnums=1)
    return (
      model.encode(params, x),
      model.decode(params, z),
      *value_and_grad(model, params, x),
    )

  codes, decoded, value, gradient = quick_jit(
    functools.partial(functions, masked)
  )(params, z)
  expected_codes, expected, expected_value, expected_gradient = quick_jit(
    functools.partial(functions, small)
  )(networks.unpad(params, 8), z[:, :8])

  for leaf in jax.tree.leaves(codes):
    np.testing.assert_array_equal(leaf[:, 8:], 0)
  assert_trees_close(
    jax.tree.map(lambda leaf: leaf[:, :8], codes), expected_codes, **TOLERANCE
  )
  np.testing.assert_allclose(decoded, expected, **TOLERANCE)
  np.testing.assert_allclose(value, expected_value, **TOLERANCE)
  # Gradients are sums of both signs over 5 examples and up to 63 pixels.
  assert_trees_close(
    networks.unpad(gradient, 8), expected_gradient, rtol=1e-4, atol=1e-5
  )
  for leaf in padding(gradient, 8):
    np.testing.assert_array_equal(leaf, 0)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_code_with_padding_does_not_move_the_padding(architecture):
  model = autoencoder(Spec(latent_size=8, **architecture), latent_size=3)
  params, z = any_params(model), normal(5, 8)

  @quick_jit
  @jax.grad
  def gradient(params, z):
    return jnp.sum(model.decode(params, z) ** 2)

  rows = np.asarray(gradient(params, z)["decoder"]["latent"]["kernel"])
  np.testing.assert_array_equal(rows[3:], 0)
  assert np.all(np.any(rows[:3] != 0, axis=1))


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_latent_size_can_be_traced_and_vmapped(architecture):
  spec = Spec(latent_size=8, code="gaussian", **architecture)
  sizes = [1, 3, 8]
  params = any_params(autoencoder(spec))
  x = images(spec, 3, 5)  # a batch for each size

  def run(params, x, latent_size):
    model = autoencoder(spec, latent_size)
    return model.encode(params, x), loss(model, params, x)

  # Parameters are stacked too, so that every product is a batched one. Fully
  # optimized: XLA has had errors in such products on a CPU (jax #39103).
  stacked = jax.tree.map(lambda leaf: np.stack([leaf, leaf / 2, -leaf]), params)
  codes, losses = jax.jit(jax.vmap(run))(stacked, x, np.array(sizes))

  for i, size in enumerate(sizes):
    model = autoencoder(dataclasses.replace(spec, latent_size=size))
    ours, params = jax.tree.map(lambda leaf, i=i: leaf[i], (codes, stacked))
    params = networks.unpad(params, size)
    expected, expected_loss = quick_jit(
      lambda params, x, model=model: (
        model.encode(params, x),
        loss(model, params, x),
      )
    )(params, x[i])
    ours = jax.tree.map(lambda leaf, size=size: leaf[:, :size], ours)
    assert_trees_close(ours, expected, **TOLERANCE)
    np.testing.assert_allclose(losses[i], expected_loss, **TOLERANCE)
