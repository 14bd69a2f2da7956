"""Grids of hyper-parameters: points in, validated trials out.

A point is a plain dict `{setting: value}`; a grid is a list of points, so a
union of grids is the sum of two lists. Settings are those of
`settings.DEFAULTS` and the hyper-parameters of the point's objective.
"""

import functools
import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ae_jax.objectives import OBJECTIVES, lookup
from ae_jax.settings import (
  DEFAULTS,
  Point,
  check_ramp,
  check_range,
  check_supervision,
  code_of,
  coerce,
  hyper_parameters,
  no_such_setting,
  ramps_of,
  schedulable,
)
from ae_jax.trial import Trial
from ae_jax.types import Objective, UsageError


def product(**axes: Sequence[Any]) -> list[Point]:
  """All combinations: `product(latent_size=(2, 8), seed=(0, 1))` is 4 points.

  Args:
    **axes: for each setting, the values it takes.

  Returns:
    The points, the last axis running fastest.

  Raises:
    UsageError: an axis is empty or not a sequence.
  """
  lists = _values(axes)
  return [
    dict(zip(lists, values, strict=True))
    for values in itertools.product(*lists.values())
  ]


def zipped(**axes: Sequence[Any]) -> list[Point]:
  """The i-th values together: `zipped(latent_size=(2, 8), seed=(0, 1))` is 2.

  Args:
    **axes: for each setting, its values; all of one length.

  Returns:
    The points.

  Raises:
    UsageError: an axis is empty or of another length than the first.
  """
  lists = _values(axes)
  lengths = {name: len(axis) for name, axis in lists.items()}
  if len(set(lengths.values())) > 1:
    raise UsageError(f"zipped axes differ in length: {lengths}")
  return [
    dict(zip(lists, values, strict=True))
    for values in zip(*lists.values(), strict=True)
  ]


def union(axes: Mapping[str, Any]) -> list[Point]:
  """One product for each objective, as a config writes it.

  `{"objective": ("autoencoder", "vae"), "latent_size": (2, 8),
  "vae": {"beta": (1.0, 4.0)}}` is 2 + 4 points. An axis at the top goes to
  every objective that has it; one under an objective's name to that one alone,
  in the place of the one at the top.

  Args:
    axes: setting -> values, or objective -> {setting -> values}.

  Returns:
    The points of all objectives, in their order.

  Raises:
    UsageError: an axis is empty, or none of the objectives has it.
  """
  separate = {k: v for k, v in axes.items() if isinstance(v, Mapping)}
  shared = _values({k: v for k, v in axes.items() if k not in separate})
  objectives = shared.pop("objective", (DEFAULTS["objective"],))
  for name in separate:
    lookup.find(name)
  has = {name: hyper_parameters(lookup.find(name)) for name in objectives}
  for name in shared:
    if name not in DEFAULTS and not any(
      name in schedulable(hyper) for hyper in has.values()
    ):
      raise no_such_setting(name, has)
  points = []
  for name in objectives:
    fitting = {
      k: v
      for k, v in shared.items()
      if k in DEFAULTS or k in schedulable(has[name])
    }
    points += product(
      **{"objective": (name,), **fitting, **separate.get(name, {})}
    )
  return points


def resolve(points: Iterable[Mapping[str, Any]]) -> list[Trial]:
  """Validates points and fills in the defaults.

  Args:
    points: the grid. A point that is there twice counts once.

  Returns:
    The trials, in the order of the points.

  Raises:
    UsageError: the grid is empty; a setting is unknown, of a wrong type or out
      of its range; or it does not go with the objective.
  """
  trials: dict[str, Trial] = {}
  functions: dict[str, Objective] = {}
  for point in points:
    objective = lookup.find(point.get("objective", DEFAULTS["objective"]))
    name = lookup.name_of(objective)
    if functions.setdefault(name, objective) is not objective:
      raise UsageError(f"two different objectives are both named {name}")
    trial = _resolve(objective, name, point)
    trials[trial.id] = trial
  if not trials:
    raise UsageError("the grid is empty: it has no point to train")
  return list(trials.values())


def _resolve(
  objective: Objective, name: str, point: Mapping[str, Any]
) -> Trial:
  parameters = hyper_parameters(objective)
  check_supervision(objective, name, parameters)
  ramps = {
    k: v for k, v in ramps_of(parameters).items() if f"{k}_schedule" in point
  }
  hyper = parameters.copy()
  for ramp in ramps.values():
    hyper |= ramp
  defaults = DEFAULTS | hyper
  for setting in point:
    if setting not in defaults:
      if setting in schedulable(parameters):
        raise UsageError(
          f"{setting} needs {setting.rpartition('_')[0]}_schedule"
        )
      raise no_such_setting(setting, {name: parameters})
  settings = {
    setting: coerce(setting, point.get(setting, default), default)
    for setting, default in (defaults | {"objective": name}).items()
    if setting != "objective"
  }
  settings = {"objective": name} | settings
  settings["code"] = code_of(objective, name, settings["code"])
  check_range(settings)
  for ramped in ramps:
    check_ramp(settings, ramped)
  traced = [k for k, default in hyper.items() if isinstance(default, float)]
  static = {k: settings[k] for k in parameters if k not in traced}
  return Trial(
    settings=settings,
    objective=functools.partial(objective, **static),
    hyper={k: settings[k] for k in ("learning_rate", "latent_size", *traced)},
    source="" if name in OBJECTIVES else lookup.source_digest(objective),
  )


def _values(axes: Mapping[str, Any]) -> dict[str, list[Any]]:
  """The values of each axis, those of arrays as Python numbers."""
  lists = {}
  for name, axis in axes.items():
    if isinstance(axis, str) or not isinstance(axis, Iterable):
      raise UsageError(f"the values of {name} must be a sequence; got {axis!r}")
    lists[name] = axis.tolist() if hasattr(axis, "tolist") else list(axis)
    if not lists[name]:
      raise UsageError(f"the grid is empty: {name} has no value")
  return lists
