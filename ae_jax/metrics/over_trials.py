"""Metrics of one trial as compiled functions of many trials.

A metric group is a function `measure(spec, params, latent_sizes, data)` to
columns and units of all its trials: `over_trials` makes one of a function
of one trial.
"""

import functools
import math
from collections.abc import Callable
from typing import Any

import jax

from ae_jax.metrics.eval_data import EvalData
from ae_jax.networks import Spec, model_of
from ae_jax.sharding import replicate, shard_over_trials
from ae_jax.types import Array, Params

Columns = dict[str, Any]  # name -> [trials]
Units = dict[str, Any]  # name -> [trials, latent]


def over_trials(
  function: Callable[..., Any], *, parallel: bool = True
) -> Callable[..., Any]:
  """Compiles a function of one trial for all trials of a spec.

  Args:
    function: (model, params, data) -> a tree of arrays.
    parallel: whether several devices may share the trials; False for a function
      that calls LAPACK, see `sharding.shard_over_trials`.

  Returns:
    (spec, params `[trials, ...]`, latent_sizes `[trials]`, data) -> the tree,
    each array `[trials, ...]`.
  """

  @functools.cache
  def compiled(spec: Spec, num_devices: int) -> Callable[..., Any]:
    def of_trials(params: Params, latent_sizes: Array, data: EvalData) -> Any:
      return jax.vmap(
        lambda params, size: function(
          model_of(spec, params, size), params, data
        )
      )(params, latent_sizes)

    return shard_over_trials(of_trials, num_devices, 2, 1)

  @functools.wraps(function)
  def of_trials(
    spec: Spec, params: Params, latent_sizes: Array, data: EvalData
  ) -> Any:
    num_devices = devices_for(len(latent_sizes)) if parallel else 1
    run = compiled(spec, num_devices)
    return run(params, latent_sizes, on_devices(data, num_devices))

  return of_trials


def devices_for(num_trials: int) -> int:
  """How many devices can have the same number of trials each."""
  return math.gcd(num_trials, jax.local_device_count())


def on_devices(data: EvalData, num_devices: int) -> EvalData:
  """The data on each of the first devices."""
  return jax.tree.map(lambda x: replicate(x, num_devices), data)
