"""Functions by name: those of a shipped table, and a user's own.

A name is one of the table, or `module:function`. `find` imports the module,
since the caller asked for it; `among` imports nothing: what a file names is
taken from modules that the caller gives.
"""

import contextlib
import difflib
import functools
import hashlib
import importlib
import inspect
import types
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from ae_jax.declarations import (
  LikelihoodDeclaration,
  MetricDeclaration,
  NetworkDeclaration,
  declared,
)
from ae_jax.likelihoods import LIKELIHOODS
from ae_jax.networks import NETWORKS
from ae_jax.objectives import OBJECTIVES
from ae_jax.optimizers import OPTIMIZERS
from ae_jax.types import UsageError

# Where functions of a user may be taken from: modules, their names (which are
# then imported), or functions by their names.
Modules = Iterable[str | types.ModuleType | Mapping[str, Callable]]

TABLES: dict[str, Mapping[str, Callable]] = {
  "objective": OBJECTIVES,
  "network": NETWORKS,
  "likelihood": LIKELIHOODS,
  "optimizer": OPTIMIZERS,
}
_DECORATED = {
  "network": NetworkDeclaration,
  "likelihood": LikelihoodDeclaration,
  "metric": MetricDeclaration,
}


def find(kind: str, given: str | Callable) -> Callable:
  """Finds a function by its name in the table or as "module:function".

  Args:
    kind: "objective", "network", "likelihood", "optimizer" or "metric".
    given: its name, or the function itself.

  Raises:
    UsageError: there is none, or it is not declared as one of that kind.
  """
  if callable(given):
    return _checked(kind, given, name_of(kind, given))
  if not isinstance(given, str):
    raise UsageError(f"{kind} is {given!r}; give a name or a function")
  table = TABLES.get(kind, {})
  if ":" not in given:
    if given not in table:
      raise _unknown(kind, given, table)
    return table[given]
  module, _, path = given.partition(":")
  try:
    function = _attribute(importlib.import_module(module), path)
  except Exception as error:  # a module may raise anything when imported
    reason = " ".join(f"{type(error).__name__}: {error}".split())
    raise UsageError(
      f"cannot load {kind} {given!r}: {reason} (modules are searched in the"
      " current folder too)"
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
  table = TABLES.get(kind, {})
  if ":" not in name:
    if name not in table:
      raise _unknown(kind, name, table)
    return table[name]
  module, _, path = name.partition(":")
  for given in modules:
    if isinstance(given, Mapping):
      if name in given:
        return _checked(kind, given[name], name)
    elif given == module:
      return find(kind, name)
    elif not isinstance(given, str) and given.__name__ == module:
      function = _attribute(given, path, None)
      if not callable(function):
        raise UsageError(f"module {module} has no {kind} {path}")
      return _checked(kind, function, name)
  return None


def name_of(kind: str, function: Callable) -> str:
  """Its name in the table, or "module:function"."""
  for name, known in TABLES.get(kind, {}).items():
    if known is function:
      return name
  if not hasattr(function, "__qualname__"):
    raise UsageError(f"{kind} {function!r} is not a plain function")
  return f"{function.__module__}:{function.__qualname__}"


def source_digest(functions: Iterable[Callable]) -> str:
  """SHA-256 of what defines functions, also in a notebook or by a factory.

  Of the function that decorators wrap, and of those that it declares: the file,
  or else the source or the code; and the plain values that they are closed
  over.
  """
  digest = hashlib.sha256()
  for outer in functions:
    inner = inspect.unwrap(outer)
    declaration = getattr(outer, "declaration", None)
    for function in (inner, *getattr(declaration, "functions", ())):
      digest.update(_source(function))
      for cell in getattr(function, "__closure__", None) or ():
        with contextlib.suppress(ValueError):  # an empty cell
          if isinstance(cell.cell_contents, _PLAIN):
            digest.update(repr(cell.cell_contents).encode())
  return digest.hexdigest()


_PLAIN = (bool, int, float, str, tuple)


def _unknown(kind: str, name: str, table: Mapping[str, Any]) -> UsageError:
  close = difflib.get_close_matches(name.lower(), table, n=1)
  hint = f"did you mean {close[0]}? " if close else ""
  if "," in name:
    hint = f"give several as sweep.{kind}=a,b; "
  return UsageError(
    f"unknown {kind} {name!r}; {hint}available:"
    f" {', '.join([*table, 'or module:function'])}"
  )


def _attribute(module: types.ModuleType, path: str, *default: Any) -> Any:
  return functools.reduce(
    lambda of, name: getattr(of, name, *default), path.split("."), module
  )


def _checked(kind: str, function: Callable, name: str) -> Callable:
  wanted = _DECORATED.get(kind)
  if wanted is not None and declared(function, wanted) is None:
    raise UsageError(
      f"{name} is no {kind}: decorate the function with @ae_jax.{kind}(...)"
    )
  return function


def _source(function: Callable) -> bytes:
  with contextlib.suppress(OSError, TypeError):
    return Path(inspect.getfile(function)).read_bytes()
  with contextlib.suppress(OSError, TypeError):
    return inspect.getsource(function).encode()  # of a notebook's cell
  code = getattr(function, "__code__", None)
  if code is None:  # of jnp, say
    return getattr(function, "__qualname__", repr(type(function))).encode()
  return repr(_code(code)).encode()


def _code(code: types.CodeType) -> tuple:
  """What a code object does, without where it stands."""
  constants = [
    _code(c) if isinstance(c, types.CodeType) else c for c in code.co_consts
  ]
  return code.co_code, code.co_names, code.co_varnames, constants
