"""One point of a grid with every setting resolved."""

import dataclasses
import functools
import hashlib
import json
import warnings
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ae_jax import lookup
from ae_jax.declarations import (
  Declaration,
  declared,
  keyword_only,
  of_objective,
)
from ae_jax.early_stopping import EarlyStopping
from ae_jax.epoch_order import batching
from ae_jax.networks import Spec
from ae_jax.optimizers import Optimizer
from ae_jax.schedules import Schedule, make_schedule
from ae_jax.settings import Point
from ae_jax.source import source_digest
from ae_jax.types import Objective

TRACED = ("latent_size", "seed", "learning_rate", "clip_norm")
_SPEC = ("widths", "activation", "code")


@dataclasses.dataclass(frozen=True)
class Trial:
  """One point with every setting resolved.

  Attributes:
    settings: all settings, defaults included, functions by their names.
    functions: "objective", "network", "likelihood", "optimizer" -> function.
    hyper: what is traced besides the seed: learning rate, latent size and the
      numbers of the functions.
    source: digest of the files of functions that are not of this package, so
      that a changed loss is another trial; else empty.
  """

  settings: Point
  functions: Mapping[str, Callable]
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
    return json.dumps([static, sorted(self.hyper)], sort_keys=True)

  @property
  def objective(self) -> Objective:
    """The objective, its static hyper-parameters bound."""
    return self._bound("objective")

  @property
  def optimizer(self) -> Optimizer:
    """The optimizer, its static hyper-parameters bound."""
    return self._bound("optimizer")

  @property
  def stopping(self) -> EarlyStopping | None:
    """Whether and how its epochs are judged by a validation loss."""
    patience = self.settings.get("patience", 0)
    keep_best = self.settings.get("keep_best", False)
    judged = patience or keep_best
    return EarlyStopping(patience, keep_best) if judged else None

  @property
  def batch_kind(self) -> str | None:
    """What `data.supervision.supervise` adds to its examples."""
    batch = of_objective(self.functions["objective"]).batch
    if batch == "labels":
      return "label"
    return self.settings["pairs"] if batch == "pairs" else None

  def spec(self, features: tuple[int, ...], latent_size: int) -> Spec:
    """The network for such data, its code padded to `latent_size`."""
    return spec(self.settings, self.functions, features, latent_size)

  def schedule(self, num_examples: int) -> Schedule:
    """The hyper-parameters at each step, for that many examples."""
    _, num_steps = batching(num_examples, self.settings["batch_size"])
    total = num_steps * self.settings["num_epochs"]
    ramps = {
      name: ramp
      for name in self.hyper
      if f"{name}_start" in self.hyper
      and (ramp := self.settings.get(f"{name}_schedule"))
    }
    return make_schedule(self.settings["schedule"], ramps, total)

  def _bound(self, kind: str) -> Callable:
    function = self.functions[kind]
    static = {
      name: self.settings[name]
      for name in keyword_only(function)
      if name in self.settings and name not in self.hyper
    }
    return functools.partial(function, **static)


def spec(
  settings: Mapping[str, Any],
  functions: Mapping[str, Callable],
  features: tuple[int, ...],
  latent_size: int,
) -> Spec:
  """The network that settings describe.

  Args:
    settings: of a trial.
    functions: its network and likelihood; and its objective, where that may be
      part of the model.
    features: shape of one example.
    latent_size: of the padded code.
  """
  parts: dict[str, Any] = {
    kind: settings[kind]
    if settings[kind] in lookup.TABLES[kind]
    else functions[kind]
    for kind in ("network", "likelihood")
  }
  options = {
    name: settings.get(name, default)
    for kind in parts
    for name, default in keyword_only(functions[kind]).items()
    if not isinstance(default, float)
  }
  objective = functions.get("objective")
  is_of_model = of_objective(objective).is_of_the_model
  fields = {field: settings[field] for field in _SPEC}
  return Spec(
    features,
    latent_size,
    **fields | {"widths": (*fields["widths"],)} | parts,
    objective=objective if is_of_model else None,
    missing=settings.get("missing", False),
    options=(*options.items(),),
  )


def own_functions(trials: Iterable[Trial]) -> list[dict[str, Callable]]:
  """The functions of trials by their names, for `lookup.among`."""
  return [
    {
      trial.settings[kind]: function
      for trial in trials
      for kind, function in trial.functions.items()
    }
  ]


def sources_of(spec: Spec) -> dict[str, str]:
  """Digests of a user's functions that are part of a model."""
  functions = {
    "network": spec.network,
    "likelihood": spec.likelihood,
    "objective": spec.objective,
  }
  return {
    kind: source_digest([function])
    for kind, function in functions.items()
    if callable(function) and ":" in lookup.name_of(kind, function)
  }


def _warn_if_changed(
  kind: str, name: str, function: Callable, sources: Mapping[str, str]
) -> None:
  if kind in sources and source_digest([function]) != sources[kind]:
    warnings.warn(
      f"{kind} {name} has changed since this model was trained: what it gives"
      " may be other numbers",
      stacklevel=2,
    )


def stored_functions(
  settings: Mapping[str, Any],
  needs_objective: bool,
  modules: lookup.Modules,
  sources: Mapping[str, str],
) -> dict[str, Callable]:
  """The functions that a model of a file needs; nothing is imported for it.

  Args:
    settings: of its trial, as the file has them.
    needs_objective: whether the objective is part of the model.
    modules: that the caller gives, to take functions of their own from.
    sources: of `sources_of`, when the model was trained.

  Returns:
    Kind -> function; a warning tells which one has changed.

  Raises:
    UsageError: a function is in none of the modules.
  """
  found = {}
  for kind in ("objective", "network", "likelihood"):
    name = settings[kind]
    function = name and lookup.among(kind, name, modules)
    if function and (kind != "objective" or declared(function, Declaration)):
      found[kind] = function
      _warn_if_changed(kind, name, function, sources)
    elif kind != "objective" or needs_objective:
      raise lookup.missing(kind, name, modules)
  return found
