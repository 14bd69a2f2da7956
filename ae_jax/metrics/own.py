"""Metrics of a user: (model, params, data) -> a dict of scalars."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ae_jax import lookup
from ae_jax.metrics.eval_data import EvalData
from ae_jax.metrics.over_trials import Columns, Units, over_trials
from ae_jax.metrics.registry import OWN_FUNCTIONS, OWN_GROUPS
from ae_jax.networks import Spec, model_of
from ae_jax.types import Autoencoder, Params, UsageError, reason


def measure(name: str) -> Callable[..., tuple[Columns, Units]]:
  """The metric group of that name, see `registry.register`."""
  return _measure(OWN_FUNCTIONS[name], (*OWN_GROUPS[name],))


@functools.cache
def _measure(
  function: Callable, names: tuple[str, ...]
) -> Callable[..., tuple[Columns, Units]]:
  # On one device: a function that calls LAPACK would wait for ever on several.
  @functools.partial(over_trials, parallel=False)
  def of_trial(
    model: Autoencoder, params: Params, data: EvalData
  ) -> tuple[Columns, Units]:
    return _columns(function, names, function(model, params, data)), {}

  return of_trial


def check(name: str, spec: Spec, params: Params, data: EvalData) -> None:
  """Traces a metric of one trial as it will run, without running it.

  Args:
    name: of its group.
    spec: of the trial.
    params: shapes, `[1, ...]`.
    data: to measure on.

  Raises:
    UsageError: it raises, or does not give the columns that it declares.
  """
  function, names = OWN_FUNCTIONS[name], (*OWN_GROUPS[name],)
  sizes = jax.ShapeDtypeStruct((1,), np.int32)
  try:
    jax.eval_shape(
      lambda params, sizes, data: jax.vmap(
        lambda params, size: _columns(
          function, names, function(model_of(spec, params, size), params, data)
        )
      )(params, sizes),
      params,
      sizes,
      data,
    )
  except UsageError:
    raise
  except Exception as error:  # a user's code may raise anything
    raise UsageError(
      f"metric {name.partition('@')[0]} raised {reason(error)[:300]}"
    ) from error


def _columns(
  function: Callable, names: tuple[str, ...], result: Any
) -> Columns:
  """What a metric gave, or an error where that is not what it declares."""
  shown = lookup.name_of("metric", function)
  shapes = jax.tree.map(jnp.shape, result)
  if not isinstance(shapes, dict) or any(s != () for s in shapes.values()):
    raise UsageError(
      f"metric {shown} must return a dict of scalars; it returns {shapes}"
    )
  if {*shapes} != {*names}:
    raise UsageError(
      f"metric {shown} declares {', '.join(sorted(names))}; it returns"
      f" {', '.join(sorted(shapes)) or 'nothing'}"
    )
  return {name: jnp.asarray(value) for name, value in result.items()}
