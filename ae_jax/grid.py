"""Grids of hyper-parameters: points in, validated trials out.

A point is a plain dict `{setting: value}`; a grid is a list of points, so a
union of grids is the sum of two lists. Settings are those of
`settings.DEFAULTS` and the hyper-parameters of the point's functions.
"""

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from ae_jax import lookup
from ae_jax.settings import (
  DEFAULTS,
  KINDS,
  Point,
  all_hyper_parameters,
  check_ramp,
  check_range,
  check_supervision,
  code_of,
  coerce,
  functions_of,
  given_by,
  no_such_setting,
  own_of,
  ramps_of,
  schedulable,
)
from ae_jax.source import source_digest
from ae_jax.trial import Trial
from ae_jax.types import UsageError


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


def union(
  axes: Mapping[str, Any], fixed: Mapping[str, Any] | None = None
) -> list[Point]:
  """One product for each objective, as a config writes it.

  `{"objective": ("autoencoder", "vae"), "latent_size": (2, 8),
  "vae": {"beta": (1.0, 4.0)}}` is 2 + 4 points. An axis at the top goes to
  every objective that has it; one under an objective's name to that one alone,
  in the place of the one at the top. So with networks, likelihoods and
  optimizers, where several are swept.

  Args:
    axes: setting -> values, or objective -> {setting -> values}.
    fixed: settings that all points will have: a network among them has its
      hyper-parameters in `axes`.

  Returns:
    The points of all objectives, in their order.

  Raises:
    UsageError: an axis is empty, or none of the objectives has it.
  """
  separate = {k: v for k, v in axes.items() if isinstance(v, Mapping)}
  shared = _values({k: v for k, v in axes.items() if k not in separate})
  names = {k: shared.pop(k) for k in KINDS if k in shared}
  names.setdefault("objective", [DEFAULTS["objective"]])
  for name in separate:
    if not any(name in table for table in lookup.TABLES.values()):
      lookup.find("objective", name)
  chosen = product(**names)
  functions = [functions_of({**(fixed or {}), **one}) for one in chosen]
  has = [schedulable(all_hyper_parameters(one)) for one in functions]
  for name in shared:
    if name not in DEFAULTS and not any(name in own for own in has):
      raise no_such_setting(name, own_of(functions))
  points = []
  for one, own in zip(chosen, has, strict=True):
    fitting = {k: v for k, v in shared.items() if k in DEFAULTS or k in own}
    for name in one.values():
      fitting |= separate.get(name, {}) if isinstance(name, str) else {}
    points += product(**{k: (v,) for k, v in one.items()}, **fitting)
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
  known: dict[tuple[str, str], Callable] = {}
  digests: dict[tuple[Callable, ...], str] = {}  # reading files takes a while
  for point in points:
    functions = functions_of(point)
    names = {k: lookup.name_of(k, f) for k, f in functions.items()}
    for kind, name in names.items():
      function = functions[kind]
      if known.setdefault((kind, name), function) is not function:
        raise UsageError(f"two different {kind}s are both named {name}")
    users = tuple(
      f for k, f in functions.items() if names[k] not in lookup.TABLES[k]
    )
    if users and users not in digests:
      digests[users] = source_digest(users)
    trial = _resolve(functions, names, point, digests.get(users, ""))
    trials[trial.id] = trial
  if not trials:
    raise UsageError("the grid is empty: it has no point to train")
  return list(trials.values())


def _resolve(
  functions: Mapping[str, Callable],
  names: Mapping[str, str],
  point: Mapping[str, Any],
  source: str,
) -> Trial:
  own = all_hyper_parameters(functions)
  check_supervision(functions["objective"], names["objective"], own)
  ramps = {
    name: ramp
    for name, ramp in ramps_of(own).items()
    if f"{name}_schedule" in point and f"{name}_schedule" not in own
  }
  hyper = given_by(point, functions, own)
  for ramp in ramps.values():
    hyper |= ramp
  defaults = DEFAULTS | hyper
  for name, ramp in ramps.items():
    if name not in defaults:  # an optional one
      raise UsageError(f"{name}_schedule needs {name}")
    if shared := own.keys() & ramp.keys():
      raise UsageError(
        f"{name} cannot be scheduled: {min(shared)} is a hyper-parameter itself"
      )
  for setting in point:
    if setting not in defaults:
      if setting in schedulable(own):
        raise UsageError(
          f"{setting} needs {setting.rpartition('_')[0]}_schedule"
        )
      raise no_such_setting(setting, own_of([functions]))
  settings = dict(names) | {
    setting: coerce(setting, point.get(setting, default), default)
    for setting, default in defaults.items()
    if setting not in names
  }
  settings = {setting: settings[setting] for setting in defaults}
  objective = functions["objective"]
  settings["code"] = code_of(objective, names["objective"], settings["code"])
  check_range(settings, functions)
  for ramped in ramps:
    check_ramp(settings, ramped, functions)
  traced = [k for k, default in hyper.items() if isinstance(default, float)]
  return Trial(
    settings=settings,
    functions=functions,
    hyper={k: settings[k] for k in ("learning_rate", "latent_size", *traced)},
    source=source,
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
