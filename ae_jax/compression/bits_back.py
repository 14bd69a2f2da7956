"""Bits-back coding: examples <-> bits, with a VAE as the model of the data.

An example costs `-log p(x|z) - log p(z) + log q(z|x)` bits: its code z is
drawn with bits that were written before, which the decoder gets back. Codes
are rounded to a lattice. Features are symbols: 0 or 1, or one of the 256 levels
of a byte.

The encoder and the decoder must compute bit-identical probabilities. These are
integers from one function, compiled for the CPU with fixed shapes and options:
the same jaxlib compiles it to the same instructions on the same kind of
machine. On another kind it may round differently, which `decode` detects.
"""

import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ae_jax import likelihoods
from ae_jax.extras import require
from ae_jax.networks import Spec, model_of
from ae_jax.types import Array, Gaussian, Params

_LATTICE = 256  # codes in one standard deviation of the prior
_MAX = 8 * _LATTICE  # of a code, either way
_FINE = 64  # parts of a lattice step that means and scales are rounded to
_WHOLE = 1 << 24  # what probabilities are parts of; exact in float32
_START_WORDS = 2

NUM_SYMBOLS: dict[Any, int] = {
  "bernoulli": 2,
  "logistic_mixture": likelihoods.NUM_LEVELS,
}

OnExamples = Callable[[int], None]

# Fixed, so that the environment's XLA_FLAGS do not change the numbers.
_compiled = functools.partial(
  jax.jit,
  static_argnums=0,
  compiler_options={
    "xla_backend_optimization_level": 3,
    "xla_llvm_disable_expensive_passes": False,
  },
)


class DryError(ValueError):
  """A chain began with too few bits to draw its codes with."""


class DiffersError(ValueError):
  """What is decoded is not what was encoded."""


class Coder(NamedTuple):
  """What both sides code with.

  Attributes:
    spec: of the model; its likelihood is a name in `NUM_SYMBOLS`.
    params: of the model, on a CPU.
    num_chains: the i-th example is in chain i modulo this.
  """

  spec: Spec
  params: Params
  num_chains: int


class _Models(NamedTuple):
  """What constriction codes with.

  Attributes:
    stream: the module of its coders.
    code: the distribution of a unit of a code, given mean and scale.
    symbol: the distribution of a feature, given its probabilities.
  """

  stream: Any
  code: Any
  symbol: Any


def _models(likelihood: Any) -> _Models:
  require("compression", "constriction")
  from constriction import stream

  symbol = (
    stream.model.Bernoulli(perfect=False)
    if likelihood == "bernoulli"
    else stream.model.Categorical(perfect=False)
  )
  return _Models(stream, stream.model.QuantizedGaussian(-_MAX, _MAX), symbol)


@_compiled
def _posterior(
  spec: Spec, params: Params, symbols: Array
) -> tuple[Array, Array]:
  """Mean and scale of q(z|x) `[chains, latent]`, in parts of a lattice step."""
  num_symbols = NUM_SYMBOLS[spec.likelihood]
  x = symbols.astype(jnp.float32) / (num_symbols - 1)
  q: Gaussian = model_of(spec, params).encode(params, x)
  q = jax.tree.map(jnp.nan_to_num, q)  # a broken model codes badly, but codes
  unit = _LATTICE * _FINE
  mean = jnp.clip(q.mean * unit, -_MAX * _FINE, _MAX * _FINE)
  scale = jnp.clip(jnp.exp(0.5 * q.log_variance) * unit, 1, _MAX * _FINE)
  return jnp.rint(mean).astype(jnp.int32), jnp.rint(scale).astype(jnp.int32)


@_compiled
def _likelihood(spec: Spec, params: Params, z: Array) -> Array:
  """Probabilities `[chains, features, ...]`: whole numbers over 2^24.

  Of a 1, or of each level; z `[chains, latent]` is in lattice steps.
  """
  model = model_of(spec, params)
  decoded = model.decode(params, z.astype(jnp.float32) / _LATTICE)
  decoded = decoded.reshape(len(z), math.prod(spec.features), -1)
  if spec.likelihood == "bernoulli":
    share = jnp.nan_to_num(model.mean(decoded[..., 0]), nan=0.5)
    return jnp.clip(jnp.rint(share * _WHOLE), 1, _WHOLE - 1) / _WHOLE
  masses = likelihoods.logistic_mixture_masses(decoded)
  whole = jnp.rint(jnp.nan_to_num(masses) * _WHOLE)
  none = jnp.all(whole == 0, axis=-1, keepdims=True)
  return jnp.where(none, 1, whole) / _WHOLE


def encode(
  coder: Coder, x: np.ndarray, on_examples: OnExamples
) -> list[np.ndarray]:
  """Encodes examples to the words of each chain.

  Args:
    coder: what to code with.
    x: symbols `[n, *features]`, uint8.
    on_examples: called with the number of examples that have been coded.

  Returns:
    uint32, one array a chain.
  """
  num_words = _START_WORDS
  while True:
    try:
      return _encoded(coder, x, num_words, on_examples)
    except DryError:
      num_words += 1 + num_words // 4


def _encoded(
  coder: Coder, x: np.ndarray, num_words: int, on_examples: OnExamples
) -> list[np.ndarray]:
  num_chains = coder.num_chains
  models = _models(coder.spec.likelihood)
  chains = [
    models.stream.stack.AnsCoder(seed, seal=True)
    for seed in _seeds(num_chains, num_words)
  ]
  for start in range(0, len(x), num_chains):
    some = x[start : start + num_chains]
    block = np.zeros((num_chains, *x.shape[1:]), np.uint8)
    block[: len(some)] = some
    mean, scale = _on_cpu(_posterior, coder, block)
    z = np.zeros(mean.shape, np.int32)
    for i in range(len(some)):
      z[i] = chains[i].decode(models.code, mean[i] / _FINE, scale[i] / _FINE)
      if chains[i].num_words() < 2:
        raise DryError
    probabilities = _on_cpu(_likelihood, coder, z)
    for i in range(len(some)):
      symbols = block[i].reshape(-1).astype(np.int32)
      chains[i].encode_reverse(symbols, models.symbol, probabilities[i])
      chains[i].encode_reverse(z[i], models.code, *_prior(len(z[i])))
    on_examples(len(some))
  return [chain.get_compressed() for chain in chains]


def decode(
  coder: Coder,
  words: list[np.ndarray],
  shape: tuple[int, ...],
  on_examples: OnExamples,
) -> np.ndarray:
  """Decodes the words of each chain to the examples.

  Args:
    coder: what to decode with.
    words: of `encode`.
    shape: of the examples.
    on_examples: called with the number of examples that have been decoded.

  Returns:
    Symbols, uint8.

  Raises:
    DiffersError: the chains do not end with the bits that they began with.
  """
  num_chains, latent_size = coder.num_chains, coder.spec.latent_size
  models = _models(coder.spec.likelihood)
  chains = [models.stream.stack.AnsCoder(w) for w in words]
  x = np.zeros(shape, np.uint8)
  last = (len(x) - 1) // num_chains * num_chains
  for start in range(last, -1, -num_chains):
    count = min(num_chains, len(x) - start)
    z = np.zeros((num_chains, latent_size), np.int32)
    for i in range(count):
      z[i] = chains[i].decode(models.code, *_prior(latent_size))
    probabilities = _on_cpu(_likelihood, coder, z)
    block = np.zeros((num_chains, *shape[1:]), np.uint8)
    for i in range(count):
      symbols = chains[i].decode(models.symbol, probabilities[i])
      block[i] = symbols.reshape(shape[1:])
      if chains[i].num_words() < 2:
        raise DiffersError("it ends too early")
    mean, scale = _on_cpu(_posterior, coder, block)
    for i in range(count):
      chains[i].encode_reverse(
        z[i], models.code, mean[i] / _FINE, scale[i] / _FINE
      )
    x[start : start + count] = block[:count]
    on_examples(count)
  left = [chain.get_compressed() for chain in chains]
  seeds = _seeds(num_chains, len(left[0]) - 1)  # the seal is a word
  if any(
    not np.array_equal(own[:-1], seed)
    for own, seed in zip(left, seeds, strict=True)
  ):
    raise DiffersError("it does not end with the bits that it began with")
  return x


def _seeds(num_chains: int, num_words: int) -> np.ndarray:
  """What chains begin with, `[chains, words]`."""
  rng = np.random.default_rng(0)
  return rng.integers(1 << 32, size=(num_chains, num_words), dtype=np.uint32)


def _on_cpu(function: Callable[..., Any], coder: Coder, x: np.ndarray) -> Any:
  with jax.enable_x64(False), jax.default_matmul_precision("highest"):
    return jax.tree.map(np.asarray, function(coder.spec, coder.params, x))


def _prior(latent_size: int) -> tuple[np.ndarray, np.ndarray]:
  return np.zeros(latent_size), np.full(latent_size, float(_LATTICE))
