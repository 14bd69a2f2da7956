"""Codes: drawn from a prior; of few units; of values from a list."""

import math

import jax
import jax.numpy as jnp
import numpy as np

from ae_jax.types import Array, Gaussian, Scalar, UsageError

_MAX_NUMBERS = 1 << 28  # of sampled codes


def top_k(z: Array, k: Scalar, latent_mask: Array) -> Array:
  """The k largest units of each code; the others are 0.

  Args:
    z: codes `[n, latent]`.
    k: how many, rounded; may be traced. All are kept where there are fewer, and
      all that equal the k-th.
    latent_mask: `[latent]` of 0/1; masked units are never kept.

  Returns:
    `[n, latent]`.

  References:
    Makhzani and Frey, "k-Sparse Autoencoders", 2014, section 2.1.
  """
  valid = jnp.where(latent_mask[None] > 0, z, -jnp.inf)
  return jnp.where(_are_top_k(valid, k), z, 0) * latent_mask[None]


def batch_threshold(z: Array, k: Scalar, latent_mask: Array) -> Array:
  """The least of the n k largest units of n codes together.

  Args:
    z: codes `[n, latent]`.
    k: how many a code has on average, rounded; may be traced.
    latent_mask: `[latent]` of 0/1; masked units do not count.

  Returns:
    A scalar; the least unit where there are fewer.

  References:
    Bussmann et al., "BatchTopK Sparse Autoencoders", 2024, section 3.
  """
  valid = latent_mask[None] > 0
  ranked = jnp.where(valid, z, -jnp.inf).reshape(-1)
  kept = _are_top_k(ranked, len(z) * jnp.round(k)).reshape(z.shape)
  return jnp.min(jnp.where(kept & valid, z, jnp.inf))


def at_least(z: Array, threshold: Scalar, latent_mask: Array) -> Array:
  """The units of codes `[n, latent]` of at least a threshold; others are 0."""
  return jnp.where(z >= threshold, z, 0) * latent_mask[None]


def _are_top_k(z: Array, k: Scalar) -> Array:
  """Whether a number is one of the k largest along the last axis.

  The k-th is found bit by bit: floats are in the order of their bits, negative
  ones reversed. On a CPU that takes a tenth of the time of XLA's sort.
  """
  num_bits = jnp.finfo(z.dtype).bits
  unsigned = jnp.dtype(f"uint{num_bits}")
  bits = jax.lax.bitcast_convert_type(jax.lax.stop_gradient(z), unsigned)
  sign = jnp.array(1, unsigned) << (num_bits - 1)
  rank = jnp.where(bits >= sign, ~bits, bits | sign)
  wanted = jnp.round(k).astype(jnp.int32)

  def with_bit(i: Array, kth: Array) -> Array:
    larger = kth | (sign >> i.astype(unsigned))
    count = jnp.sum(rank >= larger[..., None], axis=-1)
    return jnp.where(count >= wanted, larger, kth)

  kth = jax.lax.fori_loop(
    0, num_bits, with_bit, jnp.zeros(z.shape[:-1], unsigned)
  )
  return rank >= kth[..., None]


def nearest(z: Array, codebook: Array) -> Array:
  """The vector of a codebook next to each part of a code, in squared distance.

  Args:
    z: codes `[n, latent]`: parts of as many units as a vector has.
    codebook: `[num_codes, dim]`; dim divides latent.

  Returns:
    Indices `[n, latent / dim]`.

  References:
    van den Oord et al., "Neural Discrete Representation Learning", 2017, eq. 1.
  """
  dim = codebook.shape[1]
  parts = z.reshape(-1, z.shape[1] // dim, 1, dim)
  return jnp.argmin(jnp.sum((parts - codebook[None, None]) ** 2, -1), axis=-1)


def quantize(z: Array, codebook: Array) -> Array:
  """Each part of a code at its nearest vector; the gradient goes to z as it is.

  Args:
    z: codes `[n, latent]`.
    codebook: `[num_codes, dim]`.

  Returns:
    `[n, latent]`.

  References:
    van den Oord et al., 2017, section 3.2 (the straight-through estimator).
  """
  at = jnp.asarray(codebook)[nearest(z, codebook)].reshape(z.shape)
  return straight_through(z, at)


def level_indices(z: Array, levels: Scalar) -> Array:
  """The nearest of `round(levels)` even steps from -1 to 1: integers from 0."""
  return jnp.round((z + 1) * (jnp.round(levels) - 1) / 2).astype(jnp.int32)


def round_to_levels(z: Array, levels: Scalar) -> Array:
  """Units at the nearest level; the gradient goes to z as it is.

  Args:
    z: codes in [-1, 1].
    levels: how many values evenly spaced in [-1, 1], rounded; maybe traced.

  Returns:
    The shape of z.

  References:
    Mentzer et al., "Finite Scalar Quantization: VQ-VAE Made Simple", 2024.
  """
  at = 2 * level_indices(z, levels) / (jnp.round(levels) - 1) - 1
  return straight_through(z, at.astype(z.dtype))


def straight_through(z: Array, at: Array) -> Array:
  """`at`, to the bit, whose gradient goes to z as it is."""
  return jax.lax.stop_gradient(at) + (z - jax.lax.stop_gradient(z))


def perplexity(index: Array, num_codes: int, weights: Array) -> Array:
  """How many vectors are in use: `exp(-sum_c p_c log p_c)`.

  Args:
    index: of vectors, `[n, parts]`.
    num_codes: how many there are.
    weights: `[parts]` of 0/1: those to count.

  Returns:
    A scalar from 1 to `num_codes`.
  """
  counts = jnp.einsum("npc,p->c", jax.nn.one_hot(index, num_codes), weights) / (
    len(index) * jnp.sum(weights)
  )
  return jnp.exp(jnp.sum(jax.scipy.special.entr(counts)))


def content_units(content: Scalar, mask: Array) -> Array:
  """The first units, a share of those that are not masked, as booleans.

  Args:
    content: the share, in [0, 1].
    mask: `[latent]` of 0/1.

  Returns:
    Booleans `[latent]`.
  """
  return jnp.arange(len(mask)) < jnp.round(content * jnp.sum(mask))


def sample_mixture(prior: Gaussian, num_samples: int, seed: int) -> np.ndarray:
  """Draws codes from a mixture of diagonal Gaussians of equal weight.

  Args:
    prior: mean and log variance of each, `[components, latent]`.
    num_samples: how many; of more of them these are the first.
    seed: of the draws.

  Returns:
    `[num_samples, latent]`, float32.

  Raises:
    UsageError: they do not fit in memory.
  """
  shape = (num_samples, prior.mean.shape[-1])
  if math.prod(shape) > _MAX_NUMBERS:
    raise UsageError(
      f"{num_samples} codes of {shape[1]} units do not fit at once: draw fewer,"
      " with several seeds"
    )
  noise_key, component_key = jax.random.split(jax.random.key(seed))
  component = jax.random.randint(component_key, shape[:1], 0, len(prior.mean))
  noise = jax.random.normal(noise_key, shape, np.float32)
  scale = np.exp(0.5 * prior.log_variance)
  return np.asarray(prior.mean[component] + scale[component] * noise)
