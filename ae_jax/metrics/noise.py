"""How well a model reconstructs clean data from corrupted inputs."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp

from ae_jax.corruptions import CORRUPTIONS
from ae_jax.data import to_float
from ae_jax.metrics import columns
from ae_jax.metrics.batching import map_batches
from ae_jax.metrics.eval_data import EvalData
from ae_jax.metrics.over_trials import Columns, Units, over_trials
from ae_jax.metrics.reconstruction import reconstruct, residuals
from ae_jax.networks import given
from ae_jax.types import Array, Autoencoder, Key, Params


@over_trials
def measure(
  model: Autoencoder, params: Params, data: EvalData
) -> tuple[Columns, Units]:
  """The metric group "noise"."""
  values = {}
  for corruption in columns.CORRUPTIONS:
    if corruption == "salt_and_pepper" and not data.unit_interval:
      continue
    errors = squared_errors(
      model,
      params,
      jax.random.key(0),
      data.held_out,
      corruption,
      columns.NOISES,
      data.held_out_label,
    )
    for i, level in enumerate(columns.NOISES):
      values[f"squared_error_{corruption}_{level}"] = errors[:, i]
  return data.means(values), {}


def squared_errors(
  model: Autoencoder,
  params: Params,
  key: Key,
  data: Array,
  corruption: str,
  levels: Sequence[float],
  label: Array | None = None,
) -> Array:
  """Squared error `||x - g(f(x_noisy))||^2` of the clean x, at each level.

  Args:
    model: the autoencoder.
    params: of the model.
    key: of the corruption; each example has the same noise in every model.
    data: clean x `[n, *features]`, float32 or uint8.
    corruption: a name in `corruptions.CORRUPTIONS`.
    levels: as `denoising` takes its `noise`.
    label: `[n]`, see `networks.given`; or None.

  Returns:
    `[n, len(levels)]`, summed over features.
  """
  corrupt = CORRUPTIONS[corruption]

  def of_block(block: tuple[Array, Array, Array | None]) -> Array:
    x, index, own = to_float(block[0]), block[1], given(model, block[2])
    keys = jax.vmap(lambda i: jax.random.fold_in(key, i))(index)
    noisy = jax.vmap(
      lambda level: jax.vmap(lambda k, x: corrupt(k, x, level))(keys, x)
    )(jnp.asarray(levels))  # [levels, block, *features]
    if model.missing:  # what is not there stays so
      noisy = jnp.where(jnp.isnan(x[None]), jnp.nan, noisy)
    again = jax.vmap(lambda noisy: reconstruct(own, params, noisy))(noisy)
    residual = residuals(model, x[None], again)
    return jnp.sum(residual**2, axis=tuple(range(2, residual.ndim))).T

  examples = data, jnp.arange(len(data)), label
  return map_batches(of_block, examples, batch_size=64)
