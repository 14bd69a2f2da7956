"""All metrics of trials of one shape, jitted and vmapped over the trials."""

import functools
import math
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ae_jax.data import to_float
from ae_jax.metrics import (
  activity,
  disentanglement,
  features,
  interpretability,
  likelihood,
  neighbors,
  noise,
  rate,
  reconstruction,
)
from ae_jax.metrics.batching import map_batches
from ae_jax.metrics.eval_data import EvalData
from ae_jax.metrics.registry import (
  CORRUPTIONS,
  DEPTHS,
  GROUPS,
  NOISES,
  NUM_JACOBIANS,
  NUM_NEIGHBORS,
  NUM_SAMPLES,
  STEPS,
)
from ae_jax.networks import Spec, autoencoder
from ae_jax.sharding import replicate, shard_over_trials
from ae_jax.types import Array, Autoencoder, Params

_TRIALS = 8  # measured at once
_CODES = 1 << 28  # numbers of codes held at once

OnMeasured = Callable[[str, int], None]
Columns = dict[str, Any]  # name -> [trials]
Units = dict[str, Any]  # name -> [trials, latent]


class Measured(NamedTuple):
  """Measures of some trials.

  Attributes:
    columns: name -> `[trials]`, as `metrics.METRICS` declares them.
    units: name -> `[trials, latent]`, of each code unit: `mean`, `std`,
      `active_share`; `singular_value` of the encoder's Jacobian, by falling
      size (NaN beyond the number of features); of a Gaussian code `kl`.
    seconds: metric_group of metrics -> what it took.
  """

  columns: Columns
  units: Units
  seconds: dict[str, float]


def evaluate(
  spec: Spec,
  params: Params,
  latent_sizes: Sequence[int],
  data: EvalData,
  metric_groups: Iterable[str] = tuple(GROUPS),
  on_measured: OnMeasured | None = None,
) -> Measured:
  """Measures trials of one shape.

  Args:
    spec: of their networks, padded to the largest latent size.
    params: `[trials, ...]`, padded.
    latent_sizes: of each trial.
    data: what to metric on.
    metric_groups: which metrics, names in `metrics.GROUPS`; those that the data
      or the code do not allow are left out.
    on_measured: called with the name of a metric_group and the number of trials that
      have been measured by it since the last call.

  Returns:
    The metrics.
  """
  num_trials = len(latent_sizes)
  num_codes = (len(data.train) + len(data.test)) * max(
    spec.latent_size, data.num_classes
  )
  size = max(min(_TRIALS, num_trials, _CODES // num_codes), 1)
  parts, seconds = [], dict.fromkeys(metric_groups, 0.0)
  for start in range(0, num_trials, size):
    # The last trial fills the last block up: one shape, one compilation.
    index = np.minimum(np.arange(start, start + size), num_trials - 1)
    some = jax.tree.map(lambda p, i=index: p[i], params)
    sizes = jnp.asarray(latent_sizes)[index]
    columns: Columns = {}
    units: Units = {}
    for metric_group in seconds:
      begin = time.perf_counter()
      with jax.default_matmul_precision("highest"):
        measured = _OF_GROUP[metric_group](spec, some, sizes, data)
      measured = jax.tree.map(np.asarray, measured)
      columns |= measured[0]
      units |= {k: _filled_up(v, spec) for k, v in measured[1].items()}
      seconds[metric_group] += time.perf_counter() - begin
      if on_measured is not None:
        on_measured(metric_group, min(size, num_trials - start))
    parts.append((columns, units))
  columns, units = jax.tree.map(
    lambda *x: np.concatenate(x)[:num_trials], *parts
  )
  return Measured(columns, units, seconds)


def _filled_up(values: np.ndarray, spec: Spec) -> np.ndarray:
  """`[trials, at most latent]` -> `[trials, latent]`, with NaN."""
  padding = ((0, 0), (0, spec.latent_size - values.shape[1]))
  return np.pad(values, padding, constant_values=np.nan)


def measure_codes(
  metric_group: str, train: Array, test: Array, data: EvalData
) -> Columns:
  """Measures codes against classes.

  Args:
    metric_group: "features" or "neighbors".
    train: codes of the train set, `[trials, n, latent]`.
    test: codes of the test set, `[trials, m, latent]`.
    data: whose classes they are told apart by.

  Returns:
    The columns; none where there are no classes.
  """
  if not data.num_classes:
    return {}
  num_devices = _num_devices(len(train))
  of_codes = _of_codes(metric_group, num_devices)
  with jax.default_matmul_precision("highest"):
    return of_codes(train, test, _placed(data, num_devices))


@functools.cache
def _of_codes(metric_group: str, num_devices: int) -> Callable[..., Columns]:
  def of_trials(train: Array, test: Array, data: EvalData) -> Columns:
    def of_trial(train: Array, test: Array) -> Columns:
      columns = _OF_CODES[metric_group](
        train, data.train_classes, test, data.test_classes, data.num_classes
      )
      return _where_finite((train, test), columns)

    return jax.vmap(of_trial)(train, test)

  return shard_over_trials(of_trials, num_devices, 2, 1)


def _num_devices(num_trials: int) -> int:
  """Devices that can have the same number of trials each."""
  return math.gcd(num_trials, jax.local_device_count())


def _placed(data: EvalData, num_devices: int) -> EvalData:
  return jax.tree.map(lambda x: replicate(x, num_devices), data)


# Both take codes with their own classes, and with those that are wanted.
def _features(
  train: Array, own: Array, test: Array, wanted: Array, num_classes: int
) -> Columns:
  return {
    "probe_accuracy": features.linear_probe_accuracy(
      train, own, test, wanted, num_classes
    ),
    "silhouette": features.silhouette(test, wanted, num_classes),
  }


def _neighbors(
  train: Array, own: Array, test: Array, wanted: Array, num_classes: int
) -> Columns:
  k = min(max(DEPTHS), len(train))
  found = own[neighbors.nearest(test, train, k)]
  relevant = found == wanted[:, None]
  counts = jnp.bincount(own, length=num_classes)
  return {
    "knn_accuracy": neighbors.knn_accuracy(
      found[:, :NUM_NEIGHBORS], wanted, num_classes
    ),
    **{
      f"precision_at_{depth}": neighbors.precision_at(relevant, depth)
      for depth in DEPTHS
      if depth <= k
    },
    "mean_average_precision": neighbors.mean_average_precision(
      relevant, counts[wanted]
    ),
  }


def _where_finite(codes: Any, columns: Columns) -> Columns:
  """The columns, NaN where codes are not finite or their squares are not.

  A comparison with NaN is false, an argmax of it is something: without this a
  model that is broken would have an accuracy.
  """
  finite = jnp.isfinite(sum(jnp.sum(z**2) for z in jax.tree.leaves(codes)))
  return {k: jnp.where(finite, v, jnp.nan) for k, v in columns.items()}


def _vmapped(function: Callable[..., Any], parallel: bool = True) -> Any:
  """`function(model, params, data)` of one trial -> of trials of a spec."""

  @functools.cache
  def compiled(spec: Spec, num_devices: int) -> Callable[..., Any]:
    def of_trials(params: Params, latent_sizes: Array, data: EvalData) -> Any:
      return jax.vmap(
        lambda params, size: function(autoencoder(spec, size), params, data)
      )(params, latent_sizes)

    return shard_over_trials(of_trials, num_devices, 2, 1)

  def of_trials(
    spec: Spec, params: Params, latent_sizes: Array, data: EvalData
  ) -> Any:
    num_devices = _num_devices(len(latent_sizes)) if parallel else 1
    run = compiled(spec, num_devices)
    return run(params, latent_sizes, _placed(data, num_devices))

  return of_trials


@_vmapped
def _codes(
  model: Autoencoder, params: Params, data: EvalData
) -> tuple[Array, Array]:
  def of_block(block: Array) -> Array:
    return reconstruction.codes(model, params, to_float(block))

  return map_batches(of_block, data.train), map_batches(of_block, data.test)


@_vmapped
def _reconstruction(
  model: Autoencoder, params: Params, data: EvalData
) -> tuple[Columns, Units]:
  columns = {
    f"{name}_squared_error": reconstruction.squared_error(model, params, x)
    for name, x in (("train", data.train), ("test", data.test))
  }
  if data.unit_interval:
    errors = reconstruction.unit_interval_errors(model, params, data.test)
    columns |= {f"test_{name}": error for name, error in errors.items()}
  return columns, {}


@functools.partial(_vmapped, parallel=False)  # LAPACK: see devices.spread
def _activity(
  model: Autoencoder, params: Params, data: EvalData
) -> tuple[Columns, Units]:
  codes = map_batches(
    lambda x: reconstruction.codes(model, params, to_float(x)), data.test
  )
  columns, units = activity.activations(codes, model.latent_mask)
  number = min(len(data.test), NUM_JACOBIANS)
  some = np.linspace(0, len(data.test) - 1, number).astype(int)  # not a class
  norm, values = activity.jacobian(model, params, data.test[some])
  columns = _where_finite(codes, columns) | {"jacobian_norm": norm}
  return columns, units | {"singular_value": values}


@_vmapped
def _noise(
  model: Autoencoder, params: Params, data: EvalData
) -> tuple[Columns, Units]:
  columns = {}
  for corruption in CORRUPTIONS:
    if corruption == "salt_and_pepper" and not data.unit_interval:
      continue
    errors = noise.squared_errors(
      model, params, jax.random.key(0), data.test, corruption, NOISES
    )
    for i, level in enumerate(NOISES):
      columns[f"squared_error_{corruption}_{level}"] = errors[i]
  return columns, {}


@_vmapped
def _bounds(
  model: Autoencoder, params: Params, data: EvalData
) -> tuple[Columns, Units]:
  nats, units = likelihood.elbo_and_iwae(
    model, params, jax.random.key(0), data.test, NUM_SAMPLES
  )
  bits = data.test[0].size * math.log(2)
  return {
    **{f"test_{name}_nats": value for name, value in nats.items()},
    **{f"test_{name}_bits_per_dim": v / bits for name, v in nats.items()},
    **_where_finite(
      units["variance"],
      {"active_units": likelihood.active_units(units["variance"])},
    ),
  }, {"kl": units["kl"]}


def _likelihood(
  spec: Spec, params: Params, latent_sizes: Array, data: EvalData
) -> tuple[Columns, Units]:
  if spec.code != "gaussian":
    return {}, {}
  return _bounds(spec, params, latent_sizes, data)


@_vmapped
def _of_read(
  model: Autoencoder, params: tuple[Params, Array], data: EvalData
) -> Array:
  return rate.squared_errors(model, *params, data.test)


def _rate(
  spec: Spec, params: Params, latent_sizes: Array, data: EvalData
) -> tuple[Columns, Units]:
  train, test = map(np.asarray, _codes(spec, params, latent_sizes, data))
  read = np.zeros((*test.shape[:2], len(STEPS), test.shape[2]), np.float32)
  bits = np.zeros((len(test), len(STEPS)))
  for i, size in enumerate(latent_sizes.tolist()):
    for k, step in enumerate(STEPS):
      read[i, :, k, :size], bits[i, k] = rate.entropy_code(
        train[i, :, :size], test[i, :, :size], step
      )
  errors = np.asarray(_of_read(spec, (params, read), latent_sizes, data))
  bits = np.where(np.isfinite(errors), bits, np.nan)
  columns = {}
  for k, step in enumerate(STEPS):
    columns[f"rate_at_bin_{step}"] = bits[:, k] / data.test.size
    columns[f"squared_error_at_bin_{step}"] = errors[:, k]
  return columns, {}


@_vmapped
def _of_factors(
  model: Autoencoder, params: Params, data: EvalData
) -> tuple[Columns, Units, Array]:
  number = disentanglement.NUM_EXAMPLES
  codes = map_batches(
    lambda x: reconstruction.codes(model, params, to_float(x)),
    data.train[:number],
  )
  assert data.factors is not None
  factors, num_values = data.factors[:number], data.num_values
  information = disentanglement.mutual_information(codes, factors, num_values)
  key = jax.random.key(0)
  columns = {
    "beta_vae_score": disentanglement.beta_vae_score(
      key, codes, factors, num_values
    ),
    "factor_vae_score": disentanglement.factor_vae_score(
      key, codes, factors, num_values
    ),
    "mig": disentanglement.mutual_information_gap(
      information, factors, num_values
    ),
    "sap": disentanglement.separated_attribute_predictability(
      codes, factors, num_values
    ),
    "modularity": disentanglement.modularity(information),
  }
  units = {
    f"information_{name}": information[:, k]
    for k, name in enumerate(data.factor_names)
  }
  return _where_finite(codes, columns), units, codes


def _disentanglement(
  spec: Spec, params: Params, latent_sizes: Array, data: EvalData
) -> tuple[Columns, Units]:
  if data.factors is None:
    return {}, {}
  columns, units, codes = _of_factors(spec, params, latent_sizes, data)
  factors = np.asarray(data.factors[: codes.shape[1]])
  own = [
    interpretability.metrics(z[:, :size], factors)  # without the padding
    for z, size in zip(np.asarray(codes), latent_sizes.tolist(), strict=True)
  ]
  return columns | {
    name: np.array([values[name] for values in own])
    for name in interpretability.NAMES
  }, units


def _of_encoded(metric_group: str) -> Callable[..., tuple[Columns, Units]]:
  """A metric_group of metrics of codes -> of trials."""

  def of_trials(
    spec: Spec, params: Params, latent_sizes: Array, data: EvalData
  ) -> tuple[Columns, Units]:
    if not data.num_classes:
      return {}, {}
    train, test = _codes(spec, params, latent_sizes, data)
    return measure_codes(metric_group, train, test, data), {}

  return of_trials


_OF_CODES: dict[str, Callable[..., Columns]] = {
  "features": _features,
  "neighbors": _neighbors,
}
_OF_GROUP = {
  "reconstruction": _reconstruction,
  "features": _of_encoded("features"),
  "neighbors": _of_encoded("neighbors"),
  "activity": _activity,
  "noise": _noise,
  "likelihood": _likelihood,
  "rate": _rate,
  "disentanglement": _disentanglement,
}
