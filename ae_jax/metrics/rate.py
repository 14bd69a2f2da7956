"""Rate against distortion: codes that are rounded and written as bits."""

import constriction
import jax.numpy as jnp
import numpy as np

from ae_jax.data import to_float
from ae_jax.metrics.batching import map_batches
from ae_jax.types import Array, Autoencoder, Params

_MAX = 1 << 14  # steps from the mean, either way


def entropy_code(
  train: np.ndarray, test: np.ndarray, step: float
) -> tuple[np.ndarray, int]:
  """Rounds codes uniformly, and writes them with a range coder.

  Each unit is rounded to multiples of `step * s` about its mean over the train
  codes, where s is the root mean square of the units' standard deviations. What
  a unit becomes has a probability that is learned from the train codes: how
  often it came, and half a time more.

  Args:
    train: codes `[n, latent]`.
    test: codes `[m, latent]`, to be written.
    step: in parts of s.

  Returns:
    The test codes as they are read back `[m, latent]`, float32, and the number
    of bits; NaN and 0 where codes are not finite.
  """
  if not (np.isfinite(train).all() and np.isfinite(test).all()):
    return np.full(test.shape, np.nan, np.float32), 0
  mean = train.mean(axis=0, dtype=np.float64)
  scale = np.sqrt(np.mean(train.var(axis=0, dtype=np.float64)))
  width = step * scale if scale > 0 else 1.0
  rounded = [
    np.rint(np.clip((codes - mean) / width, -_MAX, _MAX)).astype(np.int32)
    for codes in (train, test)
  ]
  low, high = rounded[0].min(axis=0), rounded[0].max(axis=0)
  rounded[1] = np.clip(rounded[1], low, high)
  priors = {
    unit: constriction.stream.model.Categorical(counts, perfect=False)
    for unit, (seen, least) in enumerate(zip(rounded[0].T, low, strict=True))
    if len(counts := np.bincount(seen - least) + 0.5) > 1
  }
  encoder = constriction.stream.queue.RangeEncoder()
  for unit, prior in priors.items():
    own = np.ascontiguousarray(rounded[1][:, unit] - low[unit])
    encoder.encode(own, prior)
  decoder = constriction.stream.queue.RangeDecoder(encoder.get_compressed())
  read = np.tile(low, (len(test), 1))
  for unit, prior in priors.items():
    read[:, unit] += decoder.decode(prior, len(test))
  return (mean + read * width).astype(np.float32), encoder.num_bits()


def squared_errors(
  model: Autoencoder, params: Params, z: Array, data: Array
) -> Array:
  """Squared error `||x - g(z)||^2` of several codes of each example.

  Args:
    model: the autoencoder.
    params: of the model.
    z: codes `[n, k, latent]`.
    data: x `[n, *features]`, float32 or uint8.

  Returns:
    `[k]`, summed over features, mean over examples.
  """

  def of_block(block: tuple[Array, Array]) -> Array:
    z, x = block[0], to_float(block[1])
    residual = model.mean(model.decode(params, z)) - x[:, None]
    return jnp.sum(residual**2, axis=tuple(range(2, residual.ndim)))

  return jnp.mean(map_batches(of_block, (z, data), batch_size_held=64), axis=0)
