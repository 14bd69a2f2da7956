"""Objectives by name: those of the table, and a user's own functions."""

import difflib
import hashlib
import importlib
import inspect
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
  """SHA-256 of the file that defines it; of its code outside of files."""
  try:
    source = Path(inspect.getfile(objective)).read_bytes()
  except (OSError, TypeError):
    source = objective.__code__.co_code
  return hashlib.sha256(source).hexdigest()
