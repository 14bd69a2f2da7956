"""Small networks, their data and parameters, for the tests of `networks`."""

import functools
import math

import jax
import numpy as np
import pytest

from ae_jax.networks import Spec

SLOW = pytest.mark.slow
ARCHITECTURES = [
  pytest.param({"features": (12,), "widths": ()}, id="linear"),
  pytest.param({"features": (12,), "widths": (16,)}, id="mlp"),
  pytest.param({"features": (3, 4), "widths": (32, 16)}, id="deep mlp"),
  pytest.param(
    {"features": (8, 8, 1), "network": "conv", "widths": (4,)}, id="conv"
  ),
  pytest.param(
    {"features": (7, 9, 3), "network": "conv", "widths": (4, 5)},
    id="deep conv",
  ),
]
CODES = [
  "linear",
  "sigmoid",
  "gaussian",
]  # Every architecture with one code and every code with one architecture; the
# rest of the product is slow.
ARCHITECTURES_AND_CODES = [
  pytest.param(
    *architecture.values,
    code,
    id=f"{architecture.id}-{code}",
    marks=() if architecture.id == "mlp" or code == "gaussian" else SLOW,
  )
  for architecture in ARCHITECTURES
  for code in CODES
]

# One network computed in two ways, in float32: dot products of up to 63 terms
# may be added in another order, a few roundings of 2^-24 = 6e-8 a layer.
TOLERANCE = {"rtol": 1e-5, "atol": 2e-6}
# To compile is what these tests cost: with fewer optimizations, a third of it.
quick_jit = functools.partial(
  jax.jit,
  compiler_options={
    "xla_backend_optimization_level": 0,
    "xla_llvm_disable_expensive_passes": True,
  },
)


def images(spec: Spec, *leading: int) -> np.ndarray:
  rng = np.random.default_rng(0)
  return rng.uniform(size=(*leading, *spec.features)).astype(np.float32)


def normal(*shape: int) -> np.ndarray:
  return np.random.default_rng(1).normal(size=shape).astype(np.float32)


def any_params(model):
  """Parameters where nothing is 0: neither biases nor padding."""
  rng = np.random.default_rng(2)

  def draw(leaf):
    deviation = math.prod(leaf.shape[:-1]) ** -0.5
    return rng.normal(0, deviation, leaf.shape).astype(np.float32)

  return jax.tree.map(draw, jax.eval_shape(model.init, jax.random.key(0)))


def assert_trees_close(actual, expected, **tolerance):
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, **tolerance), actual, expected
  )


def padding(params, latent_size: int) -> list[jax.Array]:
  """All that `networks.unpad` cuts off."""
  heads = [
    params["encoder"][name]
    for name in ("code", "mean", "log_variance")
    if name in params["encoder"]
  ]
  assert heads
  return [
    *(head["kernel"][:, latent_size:] for head in heads),
    *(head["bias"][latent_size:] for head in heads),
    params["decoder"]["latent"]["kernel"][latent_size:],
  ]
