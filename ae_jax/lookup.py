"""Functions by name: those of a shipped table, and a user's own.

A name is one of the table, or `module:function`. `find` imports the module,
since the caller asked for it; `among` imports nothing: what a file names is
taken from modules that the caller gives.
"""

import contextlib
import difflib
import importlib
import types
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import jax

from ae_jax.declarations import (
  DatasetDeclaration,
  LikelihoodDeclaration,
  MetricDeclaration,
  NetworkDeclaration,
  declared,
)
from ae_jax.likelihoods import LIKELIHOODS
from ae_jax.networks import NETWORKS
from ae_jax.objectives import OBJECTIVES
from ae_jax.optimizers import OPTIMIZERS
from ae_jax.types import UsageError, reason

# Where functions of a user may be taken from: modules, their names (which are
# then imported), or functions by their names.
OneModule = str | types.ModuleType | Mapping[str, Callable]
Modules = Iterable[OneModule]

TABLES: dict[str, Mapping[str, Callable]] = {
  "objective": OBJECTIVES,
  "network": NETWORKS,
  "likelihood": LIKELIHOODS,
  "optimizer": OPTIMIZERS,
}
_DECORATED = {
  "dataset": DatasetDeclaration,
  "network": NetworkDeclaration,
  "likelihood": LikelihoodDeclaration,
  "metric": MetricDeclaration,
}


def find(kind: str, given: str | Callable) -> Callable:
  """Finds a function by its name in the table or as "module:function".

  Args:
    kind: "objective", "network", "likelihood", "optimizer", "metric" or
      "dataset".
    given: its name, or the function itself.

  Raises:
    UsageError: there is none, or it is not declared as one of that kind.
  """
  if callable(given):
    return _checked(kind, given, name_of(kind, given))
  if not isinstance(given, str):
    raise UsageError(f"{kind} is {given!r}; give a name or a function")
  if ":" not in given:
    return _shipped(kind, given)
  module, _, path = given.partition(":")
  try:
    function = _attribute(importlib.import_module(module), path)
  except Exception as error:  # a module may raise anything when imported
    raise UsageError(
      f"cannot load {kind} {given!r}: {reason(error)} (modules are searched in"
      " the current folder too)"
    ) from error
  if not callable(function):
    raise UsageError(f"{kind} {given!r} is not a function")
  return _checked(kind, function, given)


def among(kind: str, name: str, modules: Modules) -> Callable | None:
  """A function that a file names, of the table or of a caller's modules.

  Args:
    kind: as `find` has it.
    name: of the table, or `module:function`.
    modules: that the caller gives; those given by name are imported.

  Returns:
    The function; None where it is of a module that was not given.

  Raises:
    UsageError: the module has no such function, or it is not declared as one of
      that kind.
  """
  if ":" not in name:
    return _shipped(kind, name)
  module, _, path = name.partition(":")
  for given in modules:
    if isinstance(given, Mapping):
      if name in given:
        return _checked(kind, given[name], name)
    elif given == module:
      return _checked(kind, find(kind, name), name)
    elif not isinstance(given, str) and given.__name__ == module:
      with contextlib.suppress(AttributeError):
        return _checked(kind, _attribute(given, path), name)
      raise UsageError(f"module {module} has no {kind} {path[:100]}")
  return None


def name_of(kind: str, function: Callable) -> str:
  """Its name in the table, or "module:function"."""
  for name, known in TABLES.get(kind, {}).items():
    if known is function:
      return name
  if not hasattr(function, "__qualname__"):
    raise UsageError(
      f"{kind} {function!r} is not a plain function: give one that is defined"
      f" by def{', or a name of' if kind in TABLES else ''}"
      f" {', '.join(TABLES.get(kind, {}))}".rstrip()
    )
  return f"{function.__module__}:{function.__qualname__}"


def all_of(modules: Modules | OneModule) -> Modules:
  """Modules as a tuple, of one module too; those given by name are imported.

  Raises:
    UsageError: there is no such module, or something else is given.
  """
  if isinstance(modules, str | types.ModuleType | Mapping):
    modules = (modules,)
  return tuple(map(_imported, modules))


def _imported(module: OneModule) -> OneModule:
  if isinstance(module, types.ModuleType | Mapping):
    return module
  try:
    return importlib.import_module(module)
  except Exception as error:  # a module may raise anything when imported
    raise UsageError(
      f"cannot import module {module!r}: {reason(error)}"
    ) from error


def missing(kind: str, name: str, modules: Modules) -> UsageError:
  """The error for a function that is in none of the modules."""
  module = name[:200].partition(":")[0]
  names = [getattr(m, "__name__", "") for m in modules]
  given = f"; given: {', '.join(filter(None, names))}" if any(names) else ""
  return UsageError(
    f"this model needs the {kind} {name[:200]}: give modules=[{module!r}]"
    f" (--modules={module}), which imports it{given}"
    if kind != "dataset"
    else f"the data of this run are made by {name[:200]}: give"
    f" modules=[{module!r}] (--modules={module}), which imports it{given}"
  )


def _shipped(kind: str, name: str) -> Callable:
  """A function of the table."""
  table = TABLES.get(kind, {})
  if name in table:
    return table[name]
  close = difflib.get_close_matches(name.lower(), table, n=1)
  hint = f"did you mean {close[0]}? " if close else ""
  if "," in name:
    hint = f"give several as sweep.{kind}=a,b; "
  raise UsageError(
    f"unknown {kind} {name!r}; {hint}available:"
    f" {', '.join([*table, 'or module:function'])}"
  )


def _attribute(module: types.ModuleType, path: str) -> Any:
  """What a path names in a module; nothing of a module in it.

  Raises:
    AttributeError: there is none.
  """
  found: Any = module
  for name in path.split("."):
    if isinstance(found, types.ModuleType) and found is not module:
      raise AttributeError(f"{found.__name__} is another module")
    found = getattr(found, name)
  return found


def _checked(kind: str, function: Callable, name: str) -> Callable:
  if isinstance(function, jax.stages.Wrapped):
    raise UsageError(
      f"{kind} {name} is jitted: give the function itself, it is compiled with"
      " all that trains it"
    )
  wanted = _DECORATED.get(kind)
  if wanted is not None and declared(function, wanted) is None:
    raise UsageError(
      f"{name} is no {kind}: decorate the function with @ae_jax.{kind}(...)"
    )
  return function
