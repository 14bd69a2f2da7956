"""Metrics of a user: (model, params, data) -> a dict of scalars."""

import functools
from collections.abc import Callable
from typing import Any

import jax

from ae_jax.metrics.eval_data import EvalData
from ae_jax.metrics.over_trials import Columns, Units, over_trials
from ae_jax.metrics.registry import OWN_FUNCTIONS, OWN_GROUPS
from ae_jax.types import Autoencoder, Params, UsageError


@functools.cache
def measure(name: str) -> Callable[..., tuple[Columns, Units]]:
  """The metric group of that name, see `registry.register`."""
  function = OWN_FUNCTIONS[name]

  # On one device: a function that calls LAPACK would wait for ever on several.
  @functools.partial(over_trials, parallel=False)
  def of_trial(
    model: Autoencoder, params: Params, data: EvalData
  ) -> tuple[Columns, Units]:
    return function(model, params, data), {}

  return of_trial


def check(
  name: str, model: Autoencoder, params: Params, data: EvalData
) -> None:
  """Traces a metric, without running it.

  Args:
    name: of its group.
    model: of some trial.
    params: shapes.
    data: to measure on.

  Raises:
    UsageError: it raises, or does not give the columns that it declares.
  """
  shown = name.partition("@")[0]
  try:
    result: Any = jax.eval_shape(
      functools.partial(OWN_FUNCTIONS[name], model), params, data
    )
  except Exception as error:
    reason = " ".join(f"{type(error).__name__}: {error}".split())[:300]
    raise UsageError(f"metric {shown} raised {reason}") from error
  wanted = {*OWN_GROUPS[name]}
  shapes = jax.tree.map(lambda x: x.shape, result)
  if not isinstance(shapes, dict) or any(s != () for s in shapes.values()):
    raise UsageError(
      f"metric {shown} must return a dict of scalars; it returns {shapes}"
    )
  if shapes.keys() != wanted:
    raise UsageError(
      f"metric {shown} declares {', '.join(sorted(wanted))}; it returns"
      f" {', '.join(sorted(shapes)) or 'nothing'}"
    )
