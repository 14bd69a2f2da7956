"""Objectives by name: those of the table, and a user's own functions."""

import contextlib
import difflib
import hashlib
import importlib
import inspect
import types
from collections.abc import Callable
from pathlib import Path

from ae_jax.objectives import OBJECTIVES
from ae_jax.types import Objective, UsageError


def find(objective: str | Objective) -> Objective:
  """Finds an objective by its name in the table or as "module:function"."""
  if callable(objective):
    return objective
  if not isinstance(objective, str):
    raise UsageError(f"objective is {objective!r}; give a name or a function")
  if ":" not in objective:
    if objective not in OBJECTIVES:
      close = difflib.get_close_matches(objective, OBJECTIVES, n=1)
      hint = f"did you mean {close[0]}? " if close else ""
      if "," in objective:
        hint = "give several as sweep.objective=a,b; "
      raise UsageError(
        f"unknown objective {objective!r}; {hint}available:"
        f" {', '.join(OBJECTIVES)}, or module:function"
      )
    return OBJECTIVES[objective]
  module_name, _, function_name = objective.partition(":")
  try:
    function = getattr(importlib.import_module(module_name), function_name)
  except Exception as error:  # a module may raise anything when imported
    reason = " ".join(f"{type(error).__name__}: {error}".split())
    raise UsageError(
      f"cannot load objective {objective!r}: {reason}"
    ) from error
  if not callable(function):
    raise UsageError(f"objective {objective!r} is not a function")
  return function


def name_of(objective: Objective) -> str:
  """Its name in the table, or "module:function"."""
  for name, function in OBJECTIVES.items():
    if function is objective:
      return name
  if not hasattr(objective, "__qualname__"):
    raise UsageError(f"objective {objective!r} is not a plain function")
  return f"{objective.__module__}:{objective.__qualname__}"


def source_digest(objective: Objective) -> str:
  """SHA-256 of what defines it, also in a notebook or by a factory.

  Of the function that decorators wrap, and of the one that makes its
  parameters: the file, or else the source or the code; and the plain values
  that they are closed over.
  """
  digest = hashlib.sha256()
  for function in (objective, getattr(objective, "init", None)):
    if function is not None:
      inner = inspect.unwrap(function)
      digest.update(_source(inner))
      for cell in getattr(inner, "__closure__", None) or ():
        with contextlib.suppress(ValueError):  # an empty cell
          if isinstance(cell.cell_contents, _PLAIN):
            digest.update(repr(cell.cell_contents).encode())
  return digest.hexdigest()


_PLAIN = (bool, int, float, str, tuple)


def _source(function: Callable) -> bytes:
  with contextlib.suppress(OSError, TypeError):
    return Path(inspect.getfile(function)).read_bytes()
  with contextlib.suppress(OSError, TypeError):
    return inspect.getsource(function).encode()  # of a notebook's cell
  return repr(_code(function.__code__)).encode()


def _code(code: types.CodeType) -> tuple:
  """What a code object does, without where it stands."""
  constants = [
    _code(c) if isinstance(c, types.CodeType) else c for c in code.co_consts
  ]
  return code.co_code, code.co_names, code.co_varnames, constants
