"""Bits-back coding: examples <-> bits, with a VAE as the model of the data.

An example costs `-log p(x|z) - log p(z) + log q(z|x)` bits: its code z is
drawn with bits that were written before, which come back when it is decoded.
Codes lie on a lattice. All that both sides must agree on is made of integers
that one compiled function gives, with the same shapes on both sides.
"""

from collections.abc import Callable
from typing import NamedTuple

import constriction
import jax
import jax.numpy as jnp
import numpy as np

from ae_jax.data import to_float
from ae_jax.networks import Spec, autoencoder
from ae_jax.types import Array, Gaussian, Params

_LATTICE = 256  # codes in one standard deviation of the prior
_MOST = 8 * _LATTICE  # of a code, either way
_FINE = 64  # parts of a lattice step that means and scales are rounded to
_SHARE = 1 << 16  # what probabilities are parts of
_START_WORDS = 2

_CODE = constriction.stream.model.QuantizedGaussian(-_MOST, _MOST)
_BIT = constriction.stream.model.Bernoulli(perfect=False)


class Dry(ValueError):
  """A chain began with too few bits to draw its codes with."""


class Coder(NamedTuple):
  """What both sides compute, for as many examples as there are chains.

  Attributes:
    latent_size: of the code.
    posterior: x `[chains, *features]` -> mean and scale of q(z|x), each
      `[chains, latent]`, in parts of a lattice step.
    likelihood: z `[chains, latent]`, in lattice steps -> probability that a
      feature is 1, `[chains, features]`, of 65,536.
  """

  latent_size: int
  posterior: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]
  likelihood: Callable[[np.ndarray], np.ndarray]


def coder(spec: Spec, params: Params, num_chains: int) -> Coder:
  """Compiles the two functions for one number of chains."""
  model = autoencoder(spec)
  params = jax.device_put(params)

  def posterior(params: Params, x: Array) -> tuple[Array, Array]:
    q: Gaussian = model.encode(params, to_float(x))
    unit = _LATTICE * _FINE
    mean = jnp.clip(q.mean * unit, -_MOST * _FINE, _MOST * _FINE)
    scale = jnp.clip(jnp.exp(0.5 * q.log_variance) * unit, 1, _MOST * _FINE)
    return jnp.rint(mean).astype(jnp.int32), jnp.rint(scale).astype(jnp.int32)

  def likelihood(params: Params, z: Array) -> Array:
    y = model.mean(model.decode(params, z.astype(jnp.float32) / _LATTICE))
    y = jnp.rint(y.reshape(len(y), -1) * _SHARE)
    return jnp.clip(y, 1, _SHARE - 1).astype(jnp.int32)

  x = jax.ShapeDtypeStruct((num_chains, *spec.features), np.float32)
  z = jax.ShapeDtypeStruct((num_chains, spec.latent_size), np.int32)
  with jax.default_matmul_precision("highest"):
    of_x = jax.jit(posterior).lower(params, x).compile()
    of_z = jax.jit(likelihood).lower(params, z).compile()
  return Coder(
    spec.latent_size,
    lambda x: jax.tree.map(np.asarray, of_x(params, x)),
    lambda z: np.asarray(of_z(params, z)),
  )


def encode(coder: Coder, x: np.ndarray, num_chains: int) -> list[np.ndarray]:
  """Binary examples -> the words of each chain.

  Args:
    coder: of so many chains.
    x: `[n, *features]`, float32, 0 or 1.
    num_chains: the i-th example is in chain i modulo this.

  Returns:
    uint32, one array a chain.
  """
  num_words = _START_WORDS
  while True:
    try:
      return _encoded(coder, x, num_chains, num_words)
    except Dry:
      num_words += 1


def _encoded(
  coder: Coder, x: np.ndarray, num_chains: int, num_words: int
) -> list[np.ndarray]:
  rng = np.random.default_rng(0)
  chains = [
    constriction.stream.stack.AnsCoder(
      rng.integers(1 << 32, size=num_words, dtype=np.uint32), seal=True
    )
    for _ in range(num_chains)
  ]
  for start in range(0, len(x), num_chains):
    some = x[start : start + num_chains]
    block = np.zeros((num_chains, *x.shape[1:]), np.float32)
    block[: len(some)] = some
    mean, scale = coder.posterior(block)
    z = np.zeros(mean.shape, np.int32)
    for i in range(len(some)):
      z[i] = chains[i].decode(_CODE, mean[i] / _FINE, scale[i] / _FINE)
      if chains[i].num_words() < 2:
        raise Dry
    share = coder.likelihood(z)
    for i in range(len(some)):
      bits = block[i].reshape(-1).astype(np.int32)
      chains[i].encode_reverse(bits, _BIT, share[i] / _SHARE)
      chains[i].encode_reverse(z[i], _CODE, *_prior(len(z[i])))
  return [chain.get_compressed() for chain in chains]


def decode(
  coder: Coder, words: list[np.ndarray], shape: tuple[int, ...]
) -> np.ndarray:
  """The words of each chain -> the examples, `shape`, float32, 0 or 1."""
  num_chains = len(words)
  chains = [constriction.stream.stack.AnsCoder(w) for w in words]
  x = np.zeros(shape, np.float32)
  last = (len(x) - 1) // num_chains * num_chains
  for start in range(last, -1, -num_chains):
    count = min(num_chains, len(x) - start)
    z = np.zeros((num_chains, coder.latent_size), np.int32)
    for i in range(count):
      z[i] = chains[i].decode(_CODE, *_prior(coder.latent_size))
    share = coder.likelihood(z)
    block = np.zeros((num_chains, *shape[1:]), np.float32)
    for i in range(count):
      bits = chains[i].decode(_BIT, share[i] / _SHARE)
      block[i] = bits.reshape(shape[1:])
    mean, scale = coder.posterior(block)
    for i in range(count):
      chains[i].encode_reverse(z[i], _CODE, mean[i] / _FINE, scale[i] / _FINE)
    x[start : start + count] = block[:count]
  return x


def _prior(latent_size: int) -> tuple[np.ndarray, np.ndarray]:
  return np.zeros(latent_size), np.full(latent_size, float(_LATTICE))
