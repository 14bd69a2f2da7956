"""What defines a function, as a digest: a changed loss is another loss."""

import contextlib
import functools
import hashlib
import inspect
import sys
import types
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np


def source_digest(functions: Iterable[Callable]) -> str:
  """SHA-256 of what defines functions, also in a notebook or by a factory.

  Of each function, and of those that it calls by name, wraps, declares or is
  closed over: its file, its own source or else its code; the files of modules
  that it reads; and the numbers, texts and arrays that it reads by name, is
  closed over or bound to. What is of a library does not count, nor what those
  modules import.
  """
  digest = hashlib.sha256()
  seen: set[int] = set()
  for function in functions:
    for part in _of_callable(
      function, seen
    ):  # also one of an installed package
      digest.update(part)
  return digest.hexdigest()


def _parts(value: Any, seen: set[int]) -> Iterator[bytes]:
  """What a value adds to a digest."""
  if isinstance(value, bool | int | float | complex | str | bytes | None):
    yield repr(value).encode()
  elif isinstance(value, np.ndarray | np.generic | jax.Array):
    array = np.asarray(value)
    yield f"{array.dtype}{array.shape}".encode() + array.tobytes()
  elif isinstance(value, Mapping):
    for item in value.items():
      yield from _parts(item, seen)
  elif isinstance(value, list | tuple | set | frozenset):
    for item in value:
      yield from _parts(item, seen)
  elif isinstance(value, types.ModuleType) and not _is_library(value.__name__):
    with contextlib.suppress(OSError, TypeError):
      yield Path(inspect.getfile(value)).read_bytes()
  elif _is_of_library(value):
    yield f"{value.__module__}:{value.__qualname__}".encode()
  elif callable(value) and id(value) not in seen:
    yield from _of_callable(value, seen)


def _of_callable(function: Any, seen: set[int]) -> Iterator[bytes]:
  seen.add(id(function))
  if isinstance(function, functools.partial):
    yield from _parts([function.func, function.args, function.keywords], seen)
    return
  yield _source(function)
  with contextlib.suppress(OSError, TypeError):  # two of one name in a file
    yield inspect.getsource(function).encode()
  for name in _names(getattr(function, "__code__", None)):
    yield from _parts(getattr(function, "__globals__", {}).get(name), seen)
  for cell in getattr(function, "__closure__", None) or ():
    with contextlib.suppress(ValueError):  # an empty cell
      yield from _parts(cell.cell_contents, seen)
  own = (getattr(function, "__wrapped__", None), _declared(function))
  yield from _parts(own, seen)
  if not isinstance(function, types.FunctionType | type):  # an instance
    yield from _parts(getattr(function, "__dict__", {}), seen)


def _declared(function: Any) -> list[Callable]:
  return list(getattr(getattr(function, "declaration", None), "functions", ()))


def _names(code: types.CodeType | None) -> Iterator[str]:
  """What a code object reads by name, in the functions inside it too."""
  if code is not None:
    yield from code.co_names
    for constant in code.co_consts:
      if isinstance(constant, types.CodeType):
        yield from _names(constant)


def _is_of_library(function: Any) -> bool:
  module = getattr(function, "__module__", None) or ""
  return hasattr(function, "__qualname__") and _is_library(module)


def _is_library(module: str) -> bool:
  """Whether a module is of a package or of Python, which have versions."""
  package = module.partition(".")[0]
  if package == "ae_jax" or package in sys.stdlib_module_names - {"__main__"}:
    return True
  file = getattr(sys.modules.get(module), "__file__", None) or ""
  return bool({"site-packages", "dist-packages"} & {*Path(file).parts})


def _source(function: Any) -> bytes:
  found = function if hasattr(function, "__code__") else type(function)
  found = function if isinstance(function, type) else found
  with contextlib.suppress(OSError, TypeError):
    return Path(inspect.getfile(found)).read_bytes()
  with contextlib.suppress(OSError, TypeError):
    return inspect.getsource(found).encode()  # of a notebook's cell
  code = getattr(function, "__code__", None)
  return repr(found if code is None else _code(code)).encode()


def _code(code: types.CodeType) -> tuple:
  """What a code object does, without where it stands."""
  constants = [
    _code(c) if isinstance(c, types.CodeType) else c for c in code.co_consts
  ]
  return code.co_code, code.co_names, code.co_varnames, constants
