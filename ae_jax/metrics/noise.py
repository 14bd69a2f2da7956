"""How well a model reconstructs clean data from corrupted inputs."""

import functools

import jax
import jax.numpy as jnp

from ae_jax.corruptions import CORRUPTIONS
from ae_jax.data import to_float
from ae_jax.metrics import columns
from ae_jax.metrics.eval_data import EvalData
from ae_jax.metrics.over_trials import Columns, Units, over_trials
from ae_jax.metrics.reconstruction import squared_errors
from ae_jax.networks import Spec
from ae_jax.types import Array, Autoencoder, Key, Params, Scalar


def measure(
  spec: Spec, params: Params, latent_sizes: Array, data: EvalData
) -> tuple[Columns, Units]:
  """The metric group "noise"."""
  found = {}
  for corruption in columns.CORRUPTIONS:
    if corruption == "salt_and_pepper" and not data.unit_interval:
      continue
    for level in columns.NOISES:
      noisy = corrupted(jax.random.key(0), data.held_out, corruption, level)
      errors = _errors(spec, params, latent_sizes, (data, noisy))
      for name, value in errors.items():
        found[f"{name}_{corruption}_{level}"] = value
  return found, {}


@over_trials
def _errors(
  model: Autoencoder, params: Params, data_and_noisy: tuple[EvalData, Array]
) -> Columns:
  """Squared errors `||x - g(f(x_noisy))||^2` of the clean x."""
  data, noisy = data_and_noisy
  errors = squared_errors(
    model, params, data.held_out, data.held_out_label, noisy
  )
  return data.means({"squared_error": errors})


@functools.partial(jax.jit, static_argnums=2)
def corrupted(key: Key, data: Array, corruption: str, level: Scalar) -> Array:
  """The data as models are given them; missing entries stay so.

  Args:
    key: each example has its own noise, the same for every model.
    data: clean x `[n, *features]`, float32 or uint8.
    corruption: a name in `corruptions.CORRUPTIONS`.
    level: as `denoising` takes its `noise`.

  Returns:
    `[n, *features]`, float32.
  """
  x = to_float(data)
  keys = jax.vmap(lambda i: jax.random.fold_in(key, i))(jnp.arange(len(x)))
  corrupt = CORRUPTIONS[corruption]
  noisy = jax.vmap(lambda key, x: corrupt(key, x, level))(keys, x)
  return jnp.where(jnp.isnan(x), x, noisy)
