"""Bits-back coding: examples <-> bits, with a VAE as the model of the data.

An example costs `-log p(x|z) - log p(z) + log q(z|x)` bits: its code z is
drawn with bits that were written before, which come back when it is decoded.
Codes lie on a lattice. All that both sides must agree on is made of integers
that one compiled function gives, with the same shapes on both sides. What a
feature may be is a symbol: 0 or 1, or one of the 256 levels of a byte.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import constriction
import jax
import jax.numpy as jnp
import numpy as np

from ae_jax import reconstruction
from ae_jax.networks import Spec, autoencoder
from ae_jax.types import Array, Gaussian, Params

_LATTICE = 256  # codes in one standard deviation of the prior
_MOST = 8 * _LATTICE  # of a code, either way
_FINE = 64  # parts of a lattice step that means and scales are rounded to
_WHOLE = 1 << 24  # what probabilities are parts of; exact in float32
_START_WORDS = 2

_CODE = constriction.stream.model.QuantizedGaussian(-_MOST, _MOST)
SYMBOLS = {  # output -> how many, and the model of one
  "bernoulli": (2, constriction.stream.model.Bernoulli(perfect=False)),
  "logistic_mixture": (
    reconstruction.NUM_LEVELS,
    constriction.stream.model.Categorical(perfect=False),
  ),
}


class Dry(ValueError):
  """A chain began with too few bits to draw its codes with."""


class Coder(NamedTuple):
  """What both sides compute, for as many examples as there are chains.

  Attributes:
    latent_size: of the code.
    num_symbols: that a feature may be, from 0.
    symbol: the coder's model of a feature.
    posterior: symbols `[chains, *features]` -> mean and scale of q(z|x), each
      `[chains, latent]`, in parts of a lattice step.
    likelihood: z `[chains, latent]`, in lattice steps -> parameters of `symbol`
      `[chains, features, ...]`: probabilities, whole numbers over 2^24.
  """

  latent_size: int
  num_symbols: int
  symbol: Any
  posterior: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]
  likelihood: Callable[[np.ndarray], np.ndarray]


def coder(spec: Spec, params: Params, num_chains: int) -> Coder:
  """Compiles the two functions for one number of chains."""
  model = autoencoder(spec)
  params = jax.device_put(params)
  num_symbols, symbol = SYMBOLS[spec.output]

  def posterior(params: Params, symbols: Array) -> tuple[Array, Array]:
    x = symbols.astype(jnp.float32) / (num_symbols - 1)
    q: Gaussian = model.encode(params, x)
    unit = _LATTICE * _FINE
    mean = jnp.clip(q.mean * unit, -_MOST * _FINE, _MOST * _FINE)
    scale = jnp.clip(jnp.exp(0.5 * q.log_variance) * unit, 1, _MOST * _FINE)
    return jnp.rint(mean).astype(jnp.int32), jnp.rint(scale).astype(jnp.int32)

  def likelihood(params: Params, z: Array) -> Array:
    decoded = model.decode(params, z.astype(jnp.float32) / _LATTICE)
    decoded = decoded.reshape(len(z), math.prod(spec.features), -1)
    if spec.output == "bernoulli":
      share = jnp.rint(model.mean(decoded[..., 0]) * _WHOLE)
      return jnp.clip(share, 1, _WHOLE - 1) / _WHOLE
    masses = reconstruction.logistic_mixture_masses(decoded)
    return jnp.rint(masses * _WHOLE) / _WHOLE

  x = jax.ShapeDtypeStruct((num_chains, *spec.features), np.uint8)
  z = jax.ShapeDtypeStruct((num_chains, spec.latent_size), np.int32)
  with jax.default_matmul_precision("highest"):
    of_x = jax.jit(posterior).lower(params, x).compile()
    of_z = jax.jit(likelihood).lower(params, z).compile()
  return Coder(
    spec.latent_size,
    num_symbols,
    symbol,
    lambda x: jax.tree.map(np.asarray, of_x(params, x)),
    lambda z: np.asarray(of_z(params, z)),
  )


def encode(coder: Coder, x: np.ndarray, num_chains: int) -> list[np.ndarray]:
  """Examples -> the words of each chain.

  Args:
    coder: of so many chains.
    x: symbols `[n, *features]`, uint8.
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
    block = np.zeros((num_chains, *x.shape[1:]), np.uint8)
    block[: len(some)] = some
    mean, scale = coder.posterior(block)
    z = np.zeros(mean.shape, np.int32)
    for i in range(len(some)):
      z[i] = chains[i].decode(_CODE, mean[i] / _FINE, scale[i] / _FINE)
      if chains[i].num_words() < 2:
        raise Dry
    probabilities = coder.likelihood(z)
    for i in range(len(some)):
      symbols = block[i].reshape(-1).astype(np.int32)
      chains[i].encode_reverse(symbols, coder.symbol, probabilities[i])
      chains[i].encode_reverse(z[i], _CODE, *_prior(len(z[i])))
  return [chain.get_compressed() for chain in chains]


def decode(
  coder: Coder, words: list[np.ndarray], shape: tuple[int, ...]
) -> np.ndarray:
  """The words of each chain -> the examples' symbols, `shape`, uint8."""
  num_chains = len(words)
  chains = [constriction.stream.stack.AnsCoder(w) for w in words]
  x = np.zeros(shape, np.uint8)
  last = (len(x) - 1) // num_chains * num_chains
  for start in range(last, -1, -num_chains):
    count = min(num_chains, len(x) - start)
    z = np.zeros((num_chains, coder.latent_size), np.int32)
    for i in range(count):
      z[i] = chains[i].decode(_CODE, *_prior(coder.latent_size))
    probabilities = coder.likelihood(z)
    block = np.zeros((num_chains, *shape[1:]), np.uint8)
    for i in range(count):
      symbols = chains[i].decode(coder.symbol, probabilities[i])
      block[i] = symbols.reshape(shape[1:])
    mean, scale = coder.posterior(block)
    for i in range(count):
      chains[i].encode_reverse(z[i], _CODE, mean[i] / _FINE, scale[i] / _FINE)
    x[start : start + count] = block[:count]
  return x


def _prior(latent_size: int) -> tuple[np.ndarray, np.ndarray]:
  return np.zeros(latent_size), np.full(latent_size, float(_LATTICE))
