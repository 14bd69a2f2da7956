"""How well a trained model reconstructs."""

import jax.numpy as jnp

from ae_jax.data import to_float
from ae_jax.metrics.batching import map_batches
from ae_jax.metrics.eval_data import EvalData
from ae_jax.metrics.over_trials import Columns, Units, over_trials
from ae_jax.networks import given
from ae_jax.types import Array, Autoencoder, Gaussian, Params


@over_trials
def measure(
  model: Autoencoder, params: Params, data: EvalData
) -> tuple[Columns, Units]:
  """The metric group "reconstruction"."""
  train = squared_errors(model, params, data.train, data.train_label)
  held_out = data.held_out, data.held_out_label
  if data.unit_interval:
    errors = unit_interval_errors(model, params, *held_out)
  else:
    errors = {"squared_error": squared_errors(model, params, *held_out)}
  return {"train_squared_error": jnp.mean(train)} | data.means(errors), {}


def codes(model: Autoencoder, params: Params, x: Array) -> Array:
  """Codes of x, `[..., latent]`; a stochastic encoder is read at its mean."""
  code = model.encode(params, x)
  return code.mean if isinstance(code, Gaussian) else code


def reconstruct(model: Autoencoder, params: Params, x: Array) -> Array:
  """Reconstructions x~ = g(f(x)), in the shape and units of x."""
  return model.mean(model.decode(params, codes(model, params, x)), x)


def residuals(model: Autoencoder, x: Array, reconstruction: Array) -> Array:
  """`x - x~`, 0 where an entry of x is missing."""
  if not model.missing:
    return x - reconstruction
  return jnp.where(jnp.isnan(x), 0.0, x - reconstruction)


def squared_errors(
  model: Autoencoder,
  params: Params,
  data: Array,
  label: Array | None = None,
  seen: Array | None = None,
) -> Array:
  """Squared error `||x - x~||^2` of each example, summed over features.

  Entries that are missing do not count, here and in the other errors.

  Args:
    model: the autoencoder.
    params: of the model.
    data: `[n, *features]`, float32 or uint8.
    label: `[n]`, see `networks.given`; or None.
    seen: what the model is given in place of the data, float32; or None.

  Returns:
    `[n]`, in squared units of the data.
  """

  def of_block(block: tuple[Array, Array | None, Array | None]) -> Array:
    x, own = to_float(block[0]), given(model, block[1])
    again = reconstruct(own, params, x if block[2] is None else block[2])
    return _sum_features(residuals(model, x, again) ** 2)

  return map_batches(of_block, (data, label, seen))


def unit_interval_errors(
  model: Autoencoder,
  params: Params,
  data: Array,
  label: Array | None = None,
) -> dict[str, Array]:
  """Errors of data in [0, 1], also such as keep x~ to that range.

  Args:
    model: the autoencoder.
    params: of the model.
    data: `[n, *features]`, float32 in [0, 1] or uint8.
    label: `[n]`, see `networks.given`; or None.

  Returns:
    `squared_error`; `clipped_squared_error`, of x~ clipped to [0, 1];
    `cross_entropy`, `-x log x~ - (1 - x) log(1 - x~)` in nats, of x~ clipped
    to [e, 1 - e], e = 1.2e-7 being float32's epsilon. Each is `[n]`, summed
    over features.
  """
  eps = jnp.finfo(jnp.float32).eps

  def of_block(block: tuple[Array, Array | None]) -> dict[str, Array]:
    x, own = to_float(block[0]), given(model, block[1])
    mean = reconstruct(own, params, x)
    clipped = residuals(model, x, jnp.clip(mean, 0, 1))
    p = jnp.clip(mean, eps, 1 - eps)
    log_mass = x * jnp.log(p) + (1 - x) * jnp.log1p(-p)
    if model.missing:
      log_mass = jnp.where(jnp.isnan(x), 0.0, log_mass)
    return {
      "squared_error": _sum_features(residuals(model, x, mean) ** 2),
      "clipped_squared_error": _sum_features(clipped**2),
      "cross_entropy": -_sum_features(log_mass),
    }

  return map_batches(of_block, (data, label))


def _sum_features(per_feature: Array) -> Array:
  return jnp.sum(per_feature, axis=tuple(range(1, per_feature.ndim)))
