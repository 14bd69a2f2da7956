"""Rate against distortion: codes that are rounded and entropy-coded."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from ae_jax.data import to_float
from ae_jax.metrics import coordinates
from ae_jax.metrics.batching import map_batches
from ae_jax.metrics.codes import train_and_held_out_codes
from ae_jax.metrics.columns import STEPS
from ae_jax.metrics.coordinates import decoder_gram
from ae_jax.metrics.eval_data import EvalData
from ae_jax.metrics.over_trials import Columns, Units, over_trials
from ae_jax.metrics.reconstruction import residuals
from ae_jax.networks import Spec, given
from ae_jax.types import Array, Autoencoder, Params

_MAX = 1 << 14  # steps from the mean, either way


def measure(
  spec: Spec, params: Params, latent_sizes: Array, data: EvalData
) -> tuple[Columns, Units]:
  """The metric group "rate"."""
  codes = train_and_held_out_codes(spec, params, latent_sizes, data)
  train, held_out = map(np.asarray, codes)
  # A quantized code takes finitely many values as it is.
  rounded = np.repeat(held_out[:, :, None], len(STEPS), axis=2)
  indices = spec.declaration.indices
  if indices is None:
    gram = np.asarray(decoder_gram(spec, params, latent_sizes, data))
  bits = {part: np.zeros((len(STEPS), len(train))) for part in data.parts}
  for i, size in enumerate(latent_sizes.tolist()):
    if indices is not None:
      own = jax.tree.map(lambda p, i=i: p[i], params)
      for part, rows in data.parts.items():
        coded = train[i], held_out[i, rows]
        bits[part][:, i] = _bits_of_indices(indices, own, coded)
      continue
    own_train, own_rest = train[i, :, :size], held_out[i, :, :size]
    if not all(np.isfinite(a).all() for a in (own_train, own_rest, gram[i])):
      rounded[i] = np.nan
      continue
    axes = coordinates.of_codes(own_train, gram[i, :size, :size])
    y_train, y_rest = axes.of(own_train), axes.of(own_rest)
    for k, step in enumerate(STEPS):
      for part, rows in data.parts.items():
        read, bits[part][k, i] = entropy_code(y_train, y_rest[rows], step)
        rounded[i, rows, k, :size] = axes.codes(read)
  with_codes = params | {"codes": rounded}
  errors = _errors_of_rounded(spec, with_codes, latent_sizes, data)
  columns = {name: np.asarray(value) for name, value in errors.items()}
  num_observed = {
    part: int(np.sum(~np.isnan(to_float(np.asarray(data.held_out[rows])))))
    for part, rows in data.parts.items()
  }
  for part in data.parts:
    for k, step in enumerate(STEPS):
      finite = np.isfinite(columns[f"{part}_squared_error_at_bin_{step}"])
      per_dim = bits[part][k] / num_observed[part]
      columns[f"{part}_rate_at_bin_{step}"] = np.where(finite, per_dim, np.nan)
  return columns, {}


@over_trials
def _errors_of_rounded(
  model: Autoencoder, params: Params, data: EvalData
) -> Columns:
  errors = squared_errors(
    model, params, params["codes"], data.held_out, data.held_out_label
  )
  return data.means(
    {
      f"squared_error_at_bin_{step}": errors[:, k]
      for k, step in enumerate(STEPS)
    }
  )


def entropy_code(
  train: np.ndarray, test: np.ndarray, step: float
) -> tuple[np.ndarray, int]:
  """Rounds codes to a lattice, and encodes them with a range coder.

  Each unit is rounded to multiples of `step * s` about its mean over the train
  codes, where s is the root mean square of the units' standard deviations. The
  probability of each rounded value of a unit is its frequency in the train
  codes, with 1/2 added to every count.

  Args:
    train: finite codes `[n, latent]`.
    test: finite codes `[m, latent]`, to be encoded.
    step: in parts of s.

  Returns:
    The decoded test codes `[m, latent]`, and the number of bits.
  """
  mean = train.mean(axis=0, dtype=np.float64)
  scale = np.sqrt(np.mean(train.var(axis=0, dtype=np.float64)))
  width = step * scale if scale > 0 else 1.0
  seen, wanted = (
    np.rint(np.clip((z - mean) / width, -_MAX, _MAX)).astype(np.int32)
    for z in (train, test)
  )
  wanted = np.clip(wanted, seen.min(axis=0), seen.max(axis=0))
  read, bits = range_code(seen, wanted)
  return mean + read * width, bits


def range_code(train: np.ndarray, test: np.ndarray) -> tuple[np.ndarray, int]:
  """Encodes integers by their frequencies, with a range coder, and decodes.

  Args:
    train: `[n, parts]`: what the frequencies of each part are counted in, with
      1/2 added to every count between the least and the greatest.
    test: `[m, parts]`, to be encoded.

  Returns:
    The decoded `[m, parts]`, int32, and the number of bits.
  """
  import constriction  # here: it is an extra

  low = np.minimum(train.min(axis=0), test.min(axis=0))
  size = np.maximum(train.max(axis=0), test.max(axis=0)) - low + 1
  priors = {
    part: constriction.stream.model.Categorical(
      np.bincount(train[:, part] - low[part], minlength=size[part]) + 0.5,
      perfect=False,
    )
    for part in np.flatnonzero(size > 1)
  }
  encoder = constriction.stream.queue.RangeEncoder()
  for part, prior in priors.items():
    own = np.ascontiguousarray(test[:, part] - low[part], np.int32)
    encoder.encode(own, prior)
  decoder = constriction.stream.queue.RangeDecoder(encoder.get_compressed())
  read = np.tile(low, (len(test), 1)).astype(np.int32)
  for part, prior in priors.items():
    read[:, part] += decoder.decode(prior, len(test))
  return read, encoder.num_bits()


def _bits_of_indices(
  indices: Callable[[Params, Array], Array],
  params: Params,
  codes: tuple[np.ndarray, np.ndarray],
) -> int:
  """What the indices of the test codes take by those of the train codes."""
  train, test = (
    np.asarray(map_batches(lambda z: indices(params, z), jnp.asarray(z)))
    for z in codes
  )
  return range_code(train, test)[1]


def squared_errors(
  model: Autoencoder,
  params: Params,
  z: Array,
  data: Array,
  label: Array | None = None,
) -> Array:
  """Squared error `||x - g(z)||^2` of several codes of each example.

  Args:
    model: the autoencoder.
    params: of the model.
    z: codes `[n, k, latent]`.
    data: x `[n, *features]`, float32 or uint8.
    label: `[n]`, see `networks.given`; or None.

  Returns:
    `[n, k]`, summed over features.
  """

  def of_block(block: tuple[Array, Array, Array | None]) -> Array:
    z, x, own = block[0], to_float(block[1]), given(model, block[2])
    x = x[:, None]
    residual = residuals(model, x, model.mean(own.decode(params, z), x))
    return jnp.sum(residual**2, axis=tuple(range(2, residual.ndim)))

  return map_batches(of_block, (z, data, label), batch_size=64)
