"""Settings of a trial: their names, defaults, types and ranges.

A trial has those of `DEFAULTS`, the hyper-parameters of its objective, and
three more for each number that is scheduled.
"""

import difflib
import inspect
import numbers
from collections.abc import Mapping, Sequence
from typing import Any

from ae_jax.metrics.registry import METRICS
from ae_jax.networks import ACTIVATIONS
from ae_jax.objectives import OBJECTIVES, RANGES, lookup
from ae_jax.schedules import ANNEALING, LEARNING_RATE_SCHEDULES, settings_of
from ae_jax.types import Objective, UsageError

Point = dict[str, Any]

DEFAULTS: Point = {
  "objective": "autoencoder",  # a name in OBJECTIVES, "module:function", or one
  "latent_size": 8,
  "seed": 0,  # of initialization, noise and the order of the data
  "learning_rate": 1e-3,  # of Adam
  "num_epochs": 20,
  "batch_size": 128,
  # Of the learning rate: a name in schedules.LEARNING_RATE_SCHEDULES.
  "schedule": "constant",
  "network": "mlp",  # this and the four below: see networks.Spec
  "widths": (64,),
  "activation": "relu",
  "code": "",  # empty: what the objective needs, else "linear"
  "likelihood": "gaussian",
}
# Columns of the tables: no hyper-parameter and no term may have these names.
RESERVED = (
  "id",
  "status",
  "diverged_step",
  "epoch",
  "loss",
  *METRICS,
  "seconds",
  "evaluation_seconds",
  "metric_groups",
)
_FLOAT32_MAX = 3.4028235e38
# How an objective is marked -> the hyper-parameter that this needs.
_SUPERVISION = {"pairs": ("pairs", str), "labels": ("num_classes", int)}


def hyper_parameters(objective: Objective) -> dict[str, Any]:
  """The keyword-only arguments of an objective, with their defaults.

  Raises:
    UsageError: it is no objective, or a hyper-parameter's name is taken.
  """
  name = lookup.name_of(objective)
  try:
    parameters = inspect.signature(objective).parameters.values()
  except ValueError as error:  # of some builtins
    raise UsageError(f"objective {name}: {error}") from error
  keywords = [p for p in parameters if p.kind is p.KEYWORD_ONLY]
  if len(parameters) - len(keywords) != 4:
    raise UsageError(
      f"objective {name} must take (model, params, key, batch) and"
      f" keyword-only hyper-parameters; it takes {inspect.signature(objective)}"
    )
  for p in keywords:
    taken = p.name in DEFAULTS or p.name in RESERVED
    if taken or not isinstance(p.default, int | float | str):
      raise UsageError(
        f"hyper-parameter {p.name!r} of objective {name} needs a"
        " name that is no other column's, and a number or string as default"
      )
  return {p.name: p.default for p in keywords}


def check_supervision(objective: Objective, name: str, hyper: Point) -> None:
  """Raises UsageError if a hyper-parameter that a mark needs is missing."""
  for mark, (setting, kind) in _SUPERVISION.items():
    if hasattr(objective, mark) and type(hyper.get(setting)) is not kind:
      raise UsageError(
        f"objective {name} needs {mark}: give it a hyper-parameter"
        f" {setting}: {kind.__name__}"
      )


def ramps_of(hyper: Mapping[str, Any]) -> dict[str, Point]:
  """For each number that may be scheduled, the settings that do it."""
  numbers = (k for k, default in hyper.items() if isinstance(default, float))
  return {name: settings_of(name) for name in ("learning_rate", *numbers)}


def schedulable(hyper: Mapping[str, Any]) -> set[str]:
  """The hyper-parameters, and the settings that schedule them."""
  return {*hyper}.union(*ramps_of(hyper).values())


def check_ramp(settings: Point, name: str) -> None:
  """Raises UsageError if the schedule of a hyper-parameter is not allowed."""
  ramp, over = settings[f"{name}_schedule"], settings[f"{name}_over"]
  if ramp not in ANNEALING:
    raise UsageError(
      f"{name}_schedule is {ramp!r}; allowed: {', '.join(ANNEALING)}"
    )
  if not 0 < over <= 1:
    raise UsageError(f"{name}_over must be in (0, 1]; got {over}")
  start = settings[f"{name}_start"]
  if name == "learning_rate" and start == 0:
    return
  try:
    check_range(settings | {name: start})
  except UsageError as error:
    raise UsageError(f"{name}_start: {error}") from None


def code_of(objective: Objective, name: str, code: str) -> str:
  """The code that the objective needs, or else the one asked for.

  Args:
    objective: to train.
    name: its name, for the message.
    code: asked for; "" leaves it to the objective.

  Raises:
    UsageError: the objective cannot have such a code.
  """
  needed = getattr(objective, "code", None)
  allowed = (needed,) if needed else ACTIVATIONS
  if code and code not in allowed:
    raise UsageError(
      f"code of objective {name} is {code!r}; allowed: {', '.join(allowed)}"
    )
  return code or needed or "linear"


def coerce(setting: str, value: Any, default: Any) -> Any:
  """The value as the type of the default, or an error; nothing is rounded."""
  is_bool = isinstance(value, bool)
  if isinstance(default, bool):
    if is_bool:
      return value
  elif isinstance(default, int):
    if isinstance(value, numbers.Integral) and not is_bool:
      return int(value)
  elif isinstance(default, float):
    if isinstance(value, numbers.Real) and not is_bool:
      return float(value)
  elif isinstance(default, str):
    if isinstance(value, str):
      return value
  elif isinstance(value, numbers.Integral | Sequence) and not is_bool:
    values = (value,) if isinstance(value, numbers.Integral) else value
    if all(isinstance(v, numbers.Integral) for v in values):
      return tuple(int(v) for v in values)
  kind = {tuple: "tuple of ints"}.get(type(default), type(default).__name__)
  raise UsageError(f"{setting} must be of type {kind}; got {value!r}")


def check_range(settings: Point) -> None:
  """Raises UsageError if a setting is out of its range."""
  for setting in ("latent_size", "num_epochs", "batch_size"):
    if settings[setting] < 1:
      raise UsageError(f"{setting} must be at least 1; got {settings[setting]}")
    if settings[setting] >= 2**31:
      raise UsageError(f"{setting} must be below 2^31; got {settings[setting]}")
  if not 0 <= settings["seed"] < 2**31:
    raise UsageError(f"seed must be in [0, 2^31); got {settings['seed']}")
  if settings["learning_rate"] <= 0:
    raise UsageError(
      f"learning_rate must be above 0; got {settings['learning_rate']}"
    )
  if settings["schedule"] not in LEARNING_RATE_SCHEDULES:
    raise UsageError(
      f"schedule is {settings['schedule']!r};"
      f" allowed: {', '.join(LEARNING_RATE_SCHEDULES)}"
    )
  for setting, value in settings.items():
    if isinstance(value, float) and not abs(value) <= _FLOAT32_MAX:
      raise UsageError(f"{setting} must be a finite float32; got {value}")
  if settings["objective"] in OBJECTIVES:
    _check_range_of_objective(settings)


def _check_range_of_objective(settings: Point) -> None:
  for setting in RANGES.keys() & settings.keys():
    low, high = RANGES[setting]
    if not low <= settings[setting] <= high:
      raise UsageError(
        f"{setting} must be in [{low}, {high}]; got {settings[setting]}"
      )
  if settings["objective"] == "info_vae" and (
    settings["alpha"] + settings["strength"] < 1
  ):
    raise UsageError(
      "alpha + strength must be at least 1; got"
      f" {settings['alpha']} + {settings['strength']}"
    )
  if settings["latent_size"] % settings.get("code_dim", 1):
    raise UsageError(
      f"code_dim must divide latent_size; got {settings['code_dim']} and"
      f" {settings['latent_size']}"
    )


def no_such_setting(
  setting: str, has: Mapping[str, Mapping[str, Any]]
) -> UsageError:
  """An error that names what is close and what there is.

  Args:
    setting: that is unknown.
    has: objective -> its hyper-parameters.
  """
  names = {*DEFAULTS}.union(*has.values())
  close = difflib.get_close_matches(setting, sorted(names), n=1)
  hint = f" (did you mean {close[0]}?)" if close else ""
  available = "; ".join(
    f"objective {name} has {', '.join(hyper) or 'none of its own'}"
    for name, hyper in has.items()
  )
  return UsageError(
    f"unknown hyper-parameter {setting!r}{hint}: {available}; all have"
    f" {', '.join(DEFAULTS)}"
  )
