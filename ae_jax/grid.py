"""Grids of hyper-parameters: points in, validated trials out.

A point is a plain dict `{setting: value}`; a grid is a list of points, so a
union of grids is the sum of two lists. Settings are those of `DEFAULTS` and
the hyper-parameters of the point's objective.
"""

import dataclasses
import difflib
import functools
import hashlib
import inspect
import itertools
import json
import numbers
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ae_jax.metrics.registry import METRICS
from ae_jax.networks import ACTIVATIONS, Spec
from ae_jax.objectives import OBJECTIVES, RANGES, lookup
from ae_jax.schedules import (
  ANNEALING,
  LEARNING_RATE_SCHEDULES,
  Schedule,
  make_schedule,
  settings_of,
)
from ae_jax.training import batching
from ae_jax.types import Objective, UsageError

Point = dict[str, Any]

DEFAULTS: Point = {
  "objective": "autoencoder",  # a name in OBJECTIVES, "module:function", or one
  "latent_size": 8,
  "seed": 0,  # of initialization, noise and the order of the data
  "learning_rate": 1e-3,  # of Adam
  "num_epochs": 20,
  "batch_size": 128,
  "schedule": "constant",  # of the learning rate: a name in schedules.LEARNING_RATE_SCHEDULES
  "network": "mlp",  # these five: see networks.Spec
  "widths": (64,),
  "activation": "relu",
  "code": "",  # empty: what the objective needs, else "linear"
  "likelihood": "gaussian",
}
TRACED = ("latent_size", "seed", "learning_rate")
# Names that the tables use; no hyper-parameter and no term may have them.
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
_SPEC = ("network", "widths", "activation", "code", "likelihood")


@dataclasses.dataclass(frozen=True)
class Trial:
  """One point with every setting resolved.

  Attributes:
    settings: all settings, defaults included, the objective by its name.
    objective: its function, the static hyper-parameters bound.
    hyper: what is traced besides the seed: learning rate, latent size and the
      objective's own numbers.
    source: digest of the file of an objective that is not of this package, so
      that a changed loss is another trial; else empty.
  """

  settings: Point
  objective: Objective
  hyper: dict[str, float]
  source: str

  @functools.cached_property
  def id(self) -> str:
    """Ten hex digits that name the settings, the same in every process."""
    text = json.dumps(self.settings, sort_keys=True) + self.source
    return hashlib.sha256(text.encode()).hexdigest()[:10]

  @property
  def group(self) -> str:
    """What trials of one compiled program have in common."""
    traced = {*self.hyper, *TRACED}
    static = {k: v for k, v in self.settings.items() if k not in traced}
    return json.dumps(static, sort_keys=True)

  @property
  def function(self) -> Objective:
    """The objective without its static hyper-parameters."""
    return getattr(self.objective, "func", self.objective)

  @property
  def batch_kind(self) -> str | None:
    """What its batches have beside the examples, see `data.supervision.supervise`."""
    function = self.function
    if hasattr(function, "labels"):
      return "label"
    return self.settings["pairs"] if hasattr(function, "pairs") else None

  def spec(self, features: tuple[int, ...], latent_size: int) -> Spec:
    """The network for such data, its code padded to `latent_size`."""
    return spec(self.settings, features, latent_size)

  def schedule(self, num_examples: int) -> Schedule:
    """What is scheduled, by step, for that many examples."""
    _, num_steps = batching(num_examples, self.settings["batch_size"])
    total = num_steps * self.settings["num_epochs"]
    ramps = {
      name: ramp
      for name in self.hyper
      if f"{name}_start" in self.hyper
      and (ramp := self.settings.get(f"{name}_schedule"))
    }
    return make_schedule(self.settings["schedule"], ramps, total)


def spec(settings: Point, features: tuple[int, ...], latent_size: int) -> Spec:
  """The network that settings describe."""
  fields = {field: settings[field] for field in _SPEC}
  return Spec(
    features, latent_size, **fields | {"widths": (*fields["widths"],)}
  )


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
  own = {k: v for k, v in axes.items() if isinstance(v, Mapping)}
  shared = _values({k: v for k, v in axes.items() if k not in own})
  objectives = shared.pop("objective", (DEFAULTS["objective"],))
  for name in own:
    lookup.find(name)
  has = {name: hyper_parameters(lookup.find(name)) for name in objectives}
  for name in shared:
    if name not in DEFAULTS and not any(
      name in _schedulable(hyper) for hyper in has.values()
    ):
      raise _no_such_setting(name, has)
  points = []
  for name in objectives:
    fitting = {
      k: v
      for k, v in shared.items()
      if k in DEFAULTS or k in _schedulable(has[name])
    }
    points += product(**{"objective": (name,), **fitting, **own.get(name, {})})
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


def hyper_parameters(objective: Objective) -> dict[str, Any]:
  """The keyword-only arguments of an objective, with their defaults."""
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


_BESIDE = {"pairs": ("pairs", str), "labels": ("num_classes", int)}


def _check_marks(objective: Objective, name: str, own: Point) -> None:
  """Raises UsageError where a mark lacks its hyper-parameter."""
  for mark, (hyper, kind) in _BESIDE.items():
    if hasattr(objective, mark) and type(own.get(hyper)) is not kind:
      raise UsageError(
        f"objective {name} needs {mark}: give it a hyper-parameter"
        f" {hyper}: {kind.__name__}"
      )


def _resolve(
  objective: Objective, name: str, point: Mapping[str, Any]
) -> Trial:
  own = hyper_parameters(objective)
  _check_marks(objective, name, own)
  ramps = {k: v for k, v in _ramps(own).items() if f"{k}_schedule" in point}
  hyper = own.copy()
  for ramp in ramps.values():
    hyper |= ramp
  defaults = DEFAULTS | hyper
  for setting in point:
    if setting not in defaults:
      if setting in _schedulable(own):
        raise UsageError(
          f"{setting} needs {setting.rpartition('_')[0]}_schedule"
        )
      raise _no_such_setting(setting, {name: own})
  settings = {
    setting: _coerce(setting, point.get(setting, default), default)
    for setting, default in (defaults | {"objective": name}).items()
    if setting != "objective"
  }
  settings = {"objective": name} | settings
  settings["code"] = _code(objective, name, settings["code"])
  _check_range(settings)
  for ramped in ramps:
    _check_ramp(settings, ramped)
  traced = [k for k, default in hyper.items() if isinstance(default, float)]
  static = {k: settings[k] for k in own if k not in traced}
  return Trial(
    settings=settings,
    objective=functools.partial(objective, **static),
    hyper={k: settings[k] for k in ("learning_rate", "latent_size", *traced)},
    source="" if name in OBJECTIVES else lookup.source_digest(objective),
  )


def _ramps(hyper: Mapping[str, Any]) -> dict[str, Point]:
  """For each number that may be scheduled, the settings that do it."""
  numbers = (k for k, default in hyper.items() if isinstance(default, float))
  return {name: settings_of(name) for name in ("learning_rate", *numbers)}


def _schedulable(hyper: Mapping[str, Any]) -> set[str]:
  """The hyper-parameters, and the settings that schedule them."""
  return {*hyper}.union(*_ramps(hyper).values())


def _check_ramp(settings: Point, name: str) -> None:
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
    _check_range(settings | {name: start})
  except UsageError as error:
    raise UsageError(f"{name}_start: {error}") from None


def _code(objective: Objective, name: str, code: str) -> str:
  needed = getattr(objective, "code", None)
  allowed = (needed,) if needed else ACTIVATIONS
  if code and code not in allowed:
    raise UsageError(
      f"code of objective {name} is {code!r}; allowed: {', '.join(allowed)}"
    )
  return code or needed or "linear"


def _coerce(setting: str, value: Any, default: Any) -> Any:
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


_FLOAT32_MAX = 3.4028235e38


def _check_range(settings: Point) -> None:
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
      f"schedule is {settings['schedule']!r}; allowed: {', '.join(LEARNING_RATE_SCHEDULES)}"
    )
  for setting, value in settings.items():
    if isinstance(value, float) and not abs(value) <= _FLOAT32_MAX:
      raise UsageError(f"{setting} must be a finite float32; got {value}")
  if settings["objective"] in OBJECTIVES:
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


def _no_such_setting(
  setting: str, has: Mapping[str, Mapping[str, Any]]
) -> UsageError:
  names = {*DEFAULTS}.union(*has.values())
  close = difflib.get_close_matches(setting, sorted(names), n=1)
  hint = f" (did you mean {close[0]}?)" if close else ""
  own = "; ".join(
    f"objective {name} has {', '.join(hyper) or 'none of its own'}"
    for name, hyper in has.items()
  )
  return UsageError(
    f"unknown hyper-parameter {setting!r}{hint}: {own}; all have"
    f" {', '.join(DEFAULTS)}"
  )
