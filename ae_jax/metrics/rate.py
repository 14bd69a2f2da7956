"""Rate against distortion: codes that are rounded and entropy-coded."""

import jax.numpy as jnp
import numpy as np

from ae_jax.data import to_float
from ae_jax.metrics.batching import map_batches
from ae_jax.metrics.codes import train_and_test_codes
from ae_jax.metrics.eval_data import EvalData
from ae_jax.metrics.over_trials import Columns, Units, over_trials
from ae_jax.metrics.registry import STEPS
from ae_jax.networks import Spec
from ae_jax.types import Array, Autoencoder, Params

_MAX = 1 << 14  # steps from the mean, either way


def measure(
  spec: Spec, params: Params, latent_sizes: Array, data: EvalData
) -> tuple[Columns, Units]:
  """The metric group "rate"."""
  codes = train_and_test_codes(spec, params, latent_sizes, data)
  train, test = map(np.asarray, codes)
  rounded = np.zeros((*test.shape[:2], len(STEPS), test.shape[2]), np.float32)
  bits = np.zeros((len(test), len(STEPS)))
  for i, size in enumerate(latent_sizes.tolist()):
    for k, step in enumerate(STEPS):
      rounded[i, :, k, :size], bits[i, k] = entropy_code(
        train[i, :, :size], test[i, :, :size], step
      )
  own = params | {"codes": rounded}
  errors = _errors_of_rounded(spec, own, latent_sizes, data)
  errors = np.asarray(errors)
  bits = np.where(np.isfinite(errors), bits, np.nan)
  columns = {}
  for k, step in enumerate(STEPS):
    columns[f"rate_at_bin_{step}"] = bits[:, k] / data.test.size
    columns[f"squared_error_at_bin_{step}"] = errors[:, k]
  return columns, {}


@over_trials
def _errors_of_rounded(
  model: Autoencoder, params: Params, data: EvalData
) -> Array:
  return squared_errors(model, params, params["codes"], data.test)


def entropy_code(
  train: np.ndarray, test: np.ndarray, step: float
) -> tuple[np.ndarray, int]:
  """Rounds codes to a lattice, and encodes them with a range coder.

  Each unit is rounded to multiples of `step * s` about its mean over the train
  codes, where s is the root mean square of the units' standard deviations. The
  probability of each rounded value of a unit is its frequency in the train
  codes, with 1/2 added to every count.

  Args:
    train: codes `[n, latent]`.
    test: codes `[m, latent]`, to be encoded.
    step: in parts of s.

  Returns:
    The decoded test codes `[m, latent]`, float32, and the number of bits; NaN
    and 0 where codes are not finite.
  """
  import constriction  # here: it is an extra

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

  return jnp.mean(map_batches(of_block, (z, data), batch_size=64), axis=0)
