"""Settings of a trial: their names, defaults, types and ranges.

A trial has those of `DEFAULTS`, those of `OPTIONAL` that are given, the
hyper-parameters of its objective, network, likelihood and optimizer, and three
more for each number that is scheduled.
"""

import difflib
import inspect
import numbers
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from ae_jax import lookup
from ae_jax.declarations import of_objective, ranges_of
from ae_jax.likelihoods import default_for
from ae_jax.metrics.columns import METRICS
from ae_jax.networks import ACTIVATIONS
from ae_jax.schedules import ANNEALING, LEARNING_RATE_SCHEDULES, settings_of
from ae_jax.types import Objective, UsageError, reason

Point = dict[str, Any]

DEFAULTS: Point = {
  "objective": "autoencoder",  # a name in OBJECTIVES, "module:function", or one
  "latent_size": 8,
  "seed": 0,  # of initialization, noise and the order of the data
  "learning_rate": 1e-3,
  "num_epochs": 20,
  "batch_size": 128,
  # Of the learning rate: a name in schedules.LEARNING_RATE_SCHEDULES.
  "schedule": "constant",
  "network": "mlp",  # this and the four below: see networks.Spec
  "widths": (64,),
  "activation": "relu",
  "code": "",  # empty: what the objective needs, else "linear"
  # Empty: what the objective needs, else "calibrated_gaussian" where the code
  # is Gaussian and "gaussian", the squared error, where it is a point.
  "likelihood": "",
  "optimizer": "adam",
}
KINDS = ("objective", "network", "likelihood", "optimizer")  # of functions
# Settings that a trial has only where they are given, as those of an optimizer:
# a constant makes a faster program than a number that could be another one.
OPTIONAL: Point = {
  "clip_norm": 1.0,
  "patience": 1,  # this and the next: see early_stopping.EarlyStopping
  "keep_best": False,
  "missing": False,  # of data whose entries may be; the data say
}
_ARGUMENTS = {
  "objective": ("model", "params", "key", "batch"),
  "network": ("spec",),
  "likelihood": ("x", "decoded"),
  "optimizer": ("learning_rate",),
}
# Columns of the tables: no hyper-parameter and no term may have these names.
RESERVED = (
  "id",
  "status",
  "diverged_step",
  "best_epoch",
  "stopped_epoch",
  "validation_loss",
  "epoch",
  "loss",
  "seconds",
  "evaluation_seconds",
  "metric_groups",
  "metric_groups_in_part",
)
_FLOAT32_MAX = 3.4028235e38
# The batch of an objective -> the hyper-parameter that this needs.
_SUPERVISION = {"pairs": ("pairs", str), "labels": ("num_classes", int)}


def hyper_parameters(kind: str, function: Callable) -> Point:
  """The keyword-only arguments of a function, with their defaults.

  Args:
    kind: "objective", "network", "likelihood" or "optimizer".
    function: of that kind.

  Raises:
    UsageError: it is none of that kind, or a hyper-parameter's name is taken.
  """
  name = f"{kind} {lookup.name_of(kind, function)}"
  try:
    parameters = inspect.signature(function).parameters.values()
  except ValueError as error:  # of some builtins
    raise UsageError(f"{name}: {error}") from error
  keywords = [p for p in parameters if p.kind is p.KEYWORD_ONLY]
  if len(parameters) - len(keywords) != len(_ARGUMENTS[kind]):
    raise UsageError(
      f"{name} must take ({', '.join(_ARGUMENTS[kind])}) and keyword-only"
      f" hyper-parameters; it takes ({', '.join(p.name for p in parameters)})"
    )
  for p in keywords:
    if any(p.name in t for t in (DEFAULTS, OPTIONAL, RESERVED, METRICS)):
      raise UsageError(
        f"hyper-parameter {p.name!r} of {name} needs a name that is no other"
        " column's"
      )
    if not isinstance(p.default, int | float | str):
      raise UsageError(
        f"hyper-parameter {p.name!r} of {name} needs a number or string as"
        " default"
      )
  hyper = {p.name: p.default for p in keywords}
  for ranged in ranges_of(function):
    if type(hyper.get(ranged)) not in (int, float):
      raise UsageError(
        f"{name} declares a range of {ranged}, which is none of its"
        " hyper-parameters that are numbers"
      )
  return hyper


def all_hyper_parameters(functions: Mapping[str, Callable]) -> Point:
  """The hyper-parameters of all functions of a trial, with their defaults.

  Those of the optimizer, and `OPTIONAL`, are settings only where a point has
  them, see `given_by`.

  Raises:
    UsageError: two functions have one of the same name.
  """
  found: Point = dict(OPTIONAL)
  for kind, function in functions.items():
    own = hyper_parameters(kind, function)
    if shared := found.keys() & own.keys():
      raise UsageError(
        f"hyper-parameter {min(shared)!r} of {kind}"
        f" {lookup.name_of(kind, function)} is another function's of this"
        " trial, too: give it another name"
      )
    found |= own
  return found


def possible_settings(functions: Mapping[str, Callable]) -> dict[str, None]:
  """The names of all settings that a trial of these functions may have."""
  own = schedulable(all_hyper_parameters(functions))
  return dict.fromkeys([*DEFAULTS, *sorted(own)])


def given_by(
  point: Mapping[str, Any], functions: Mapping[str, Callable], own: Point
) -> Point:
  """Those hyper-parameters, with defaults, that are settings of a point."""
  optional = OPTIONAL | hyper_parameters("optimizer", functions["optimizer"])
  return {
    name: default
    for name, default in own.items()
    if name not in optional or name in point
  }


def functions_of(point: Mapping[str, Any]) -> dict[str, Callable]:
  """Objective, network, likelihood and optimizer of a point.

  Raises:
    UsageError: there is none of that name, or the objective needs another
      likelihood.
  """
  given = {kind: point.get(kind, DEFAULTS[kind]) for kind in KINDS}
  objective = lookup.find("objective", given["objective"])
  declared = of_objective(objective)
  needed = declared.likelihood
  likelihood = given["likelihood"] or needed or default_for(declared.code)
  functions = {
    "objective": objective,
    "network": lookup.find("network", given["network"]),
    "likelihood": lookup.find("likelihood", likelihood),
    "optimizer": lookup.find("optimizer", given["optimizer"]),
  }
  if needed and functions["likelihood"] is not lookup.find(
    "likelihood", needed
  ):
    raise UsageError(
      f"likelihood of objective {lookup.name_of('objective', objective)} is"
      f" {likelihood!r}; allowed:"
      f" {lookup.name_of('likelihood', lookup.find('likelihood', needed))}"
    )
  return functions


def check_supervision(objective: Objective, name: str, hyper: Point) -> None:
  """Raises UsageError if a hyper-parameter is missing that a batch needs."""
  batch = of_objective(objective).batch
  setting, kind = _SUPERVISION.get(batch, ("", str))
  if batch and type(hyper.get(setting)) is not kind:
    raise UsageError(
      f"objective {name} needs {batch}: give it a hyper-parameter"
      f" {setting}: {kind.__name__}"
    )


def ramps_of(hyper: Mapping[str, Any]) -> dict[str, Point]:
  """For each number that may be scheduled, the settings that do it."""
  numbers = (k for k, default in hyper.items() if isinstance(default, float))
  names = ("learning_rate", *numbers)
  return {name: settings_of(name) for name in names}


def schedulable(hyper: Mapping[str, Any]) -> set[str]:
  """The hyper-parameters, and the settings that schedule them."""
  return {*hyper}.union(*ramps_of(hyper).values())


def check_ramp(
  settings: Point, name: str, functions: Mapping[str, Callable]
) -> None:
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
    check_range(settings | {name: start}, functions)
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
  needed = of_objective(objective).code
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


def check_range(settings: Point, functions: Mapping[str, Callable]) -> None:
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
  if settings.get("clip_norm", 1.0) <= 0:
    raise UsageError(f"clip_norm must be above 0; got {settings['clip_norm']}")
  if settings.get("patience", 0) < 0:
    raise UsageError(f"patience must be 0 or more; got {settings['patience']}")
  for function in functions.values():
    _check_declared(settings, function)


def _check_declared(settings: Point, function: Callable) -> None:
  """Raises UsageError at what a function declares as not allowed."""
  for setting, (low, high) in ranges_of(function).items():
    if setting in settings and not low <= settings[setting] <= high:
      raise UsageError(
        f"{setting} must be in [{low}, {high}]; got {settings[setting]}"
      )
  check = of_objective(function).check
  if check is not None:
    try:
      check(settings)
    except UsageError:
      raise
    except Exception as error:  # a user's code may raise anything
      raise UsageError(f"{check.__name__} raised {reason(error)}") from error


def no_such_setting(
  setting: str, has: Mapping[str, Mapping[str, Any]]
) -> UsageError:
  """An error that names what is close and what there is.

  Args:
    setting: that is unknown.
    has: an objective or other function -> its hyper-parameters.
  """
  names = {*DEFAULTS, *OPTIONAL}.union(*has.values())
  close = difflib.get_close_matches(setting, sorted(names), n=1)
  hint = f" (did you mean {close[0]}?)" if close else ""
  available = "; ".join(
    f"{name} has {', '.join(hyper) or 'none of its own'}"
    for name, hyper in has.items()
  )
  return UsageError(
    f"unknown hyper-parameter {setting!r}{hint}: {available}; all have"
    f" {', '.join([*DEFAULTS, *OPTIONAL])}"
  )


def own_of(functions: Iterable[Mapping[str, Callable]]) -> dict[str, Point]:
  """What `no_such_setting` lists: objectives, and others that have some."""
  has: dict[str, Point] = {}
  for one in functions:
    for kind, function in one.items():
      own = hyper_parameters(kind, function)
      if own or kind == "objective":
        has[f"{kind} {lookup.name_of(kind, function)}"] = own
  return has
