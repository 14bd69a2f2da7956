"""Command line -> config (its fields: `config.py`), one line for a mistake.

ml_collections parses. Three things are added: `--config` may be left out, or
name a file in a folder of configs; any `--config.sweep.<setting>=(a, b)` is
taken, also a hyper-parameter that the config file does not know; and a mistake
is a `UsageError`.
"""

import ast
import difflib
import re
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from absl import flags
from ml_collections import ConfigDict, config_flags

from ae_jax.cli.config import base
from ae_jax.types import UsageError

DEFAULT = Path(__file__).parent / "digits.py"
_SWEEP = "--config.sweep."
_FIXED = "--config.fixed."
_METRICS = "--config.metrics="


class CommandLine(NamedTuple):
  """What was asked for.

  Attributes:
    config: the file's fields with their overrides, `sweep` excepted.
    axes: those of the file's `sweep` with their overrides, for `grid.union`.
    path: of the config file.
    own: the program's other flags; None where not given.
  """

  config: ConfigDict
  axes: dict[str, Any]
  path: Path
  own: dict[str, str | None]


def parse(
  argv: Sequence[str],
  own_flags: Sequence[str] = (),
  configs: Path | None = None,
) -> CommandLine:
  """Parses a command line.

  Args:
    argv: the program and its arguments.
    own_flags: names of the program's other flags; each takes a string.
    configs: a folder whose config files can be named without it.

  Raises:
    UsageError: an unknown flag or field, a value of a wrong type, or a config
      file that cannot be read.
  """
  arguments = list(_one_token_each(argv[1:]))
  named = [a for a in arguments if a.startswith("--config=")]
  swept = [a for a in arguments if a.startswith(_SWEEP)]
  rest = [a for a in arguments if a not in (*named, *swept)]
  # The last of each counts: absl would add up tuples that are given twice.
  rest = [*{a.partition("=")[0]: a for a in rest}.values()]
  path = _find(named[-1].partition("=")[2], configs) if named else DEFAULT
  rest = [_quoted(a) if a.startswith(_METRICS) else a for a in rest]
  try:
    config, own = _parse(path, rest, own_flags)
  except UsageError as error:
    loaded, _ = _parse(path, [], own_flags)  # or the error is the file's own
    raise _unknown_field(rest, loaded) or error from None
  axes = config.sweep.to_dict()
  for argument in swept:
    name, _, text = argument.removeprefix(_SWEEP).partition("=")
    _override(axes, name, parse_values(name, text))
  _refuse_fixed_axes(rest, axes)
  if config.objective is not None:
    if any(a.startswith(f"{_SWEEP}objective=") for a in swept):
      raise UsageError("give config.objective or config.sweep.objective")
    axes["objective"] = (config.objective,)
  return CommandLine(config, axes, path, own)


def parse_values(name: str, text: str) -> tuple[Any, ...]:
  """`"2, 8"`, `"(2, 8)"`, `"8"` or `"vae, sparse"` -> a tuple of values.

  Raises:
    UsageError: the text is none of these.
  """
  try:
    values = ast.literal_eval(text)
  except (ValueError, SyntaxError):
    words = [
      word.strip() for word in text.strip("()[] ").removesuffix(",").split(",")
    ]
    if not all(word and word[0].isalpha() for word in words):
      raise UsageError(
        f"sweep.{name} must be values like (0.1, 1.0); got {text!r}"
      ) from None
    return tuple(words)
  return tuple(values) if isinstance(values, list | tuple) else (values,)


def _parse(
  path: Path, arguments: list[str], own_flags: Sequence[str]
) -> tuple[ConfigDict, dict[str, str | None]]:
  argv = ["ae_jax", f"--config={path}", *arguments]
  values = flags.FlagValues()
  config_flag = config_flags.DEFINE_config_file(
    "config", None, "A config file.", values, lock_config=True, sys_argv=argv
  )
  for name in own_flags:
    flags.DEFINE_string(name, None, "", values)
  try:
    _, *stray = values(argv)
    config = config_flag.value
    if config is None:
      raise TypeError("get_config() returns None")
    missing = {*base()} - {*config}
  except (Exception, SystemExit) as error:  # a config file may raise anything
    raise UsageError(_one_line(error, path)) from error
  known = {*_fields(base())}
  for name in _fields(config) if isinstance(config, ConfigDict) else ():
    if name not in known and not name.startswith("config.fixed."):
      close = difflib.get_close_matches(name, known, n=1)
      hint = f"; did you mean {close[0]}?" if close else ""
      raise UsageError(f"{path.name} sets an unknown field {name}{hint}")
  if stray:
    raise UsageError(f"unexpected argument {stray[0]!r}")
  if missing:
    raise UsageError(
      f"{path.name} lacks the fields {', '.join(sorted(missing))}; start from"
      " ae_jax.cli.config.base()"
    )
  return config, {name: values[name].value for name in own_flags}


def _one_token_each(arguments: Sequence[str]) -> Iterator[str]:
  """`--config.x 1` -> `--config.x=1`, and `-config` -> `--config`."""
  pending = None
  for argument in arguments:
    is_flag = re.match(r"--?[a-zA-Z]", argument)
    if pending is not None:
      yield pending if is_flag else f"{pending}={argument}"
      if not is_flag:
        pending = None
        continue
    pending = None
    if is_flag and not argument.startswith("--"):
      argument = f"-{argument}"
    if is_flag and "=" not in argument:
      pending = argument
    else:
      yield argument
  if pending is not None:
    yield pending


def _quoted(argument: str) -> str:
  """`--config.metrics=a,b:c` as a tuple of texts; others as they are."""
  field, _, text = argument.partition("=")
  if ":" not in text or text.strip().startswith(("(", "[", "'", '"')):
    return argument
  return f"{field}={tuple(name.strip() for name in text.split(','))}"


def _find(name: str, configs: Path | None) -> Path:
  """A path as it is, or the name of a file in the folder of configs."""
  path = Path(name)
  if path.is_file():
    return path.absolute()
  if configs is None:
    raise UsageError(f"no config file {name!r}; give a path")
  shipped = configs / f"{path.stem}.py"
  if shipped.is_file() and path.parent in (
    Path("."),
    Path(*configs.parts[-2:]),
  ):
    return shipped
  names = ", ".join(sorted(p.name for p in configs.glob("[!_]*.py")))
  raise UsageError(f"no config file {name!r}; give a path, or one of: {names}")


def _override(axes: dict[str, Any], name: str, values: tuple[Any, ...]) -> None:
  """Sets an axis; at the top it also replaces those of single objectives."""
  objective, dot, setting = name.rpartition(".")
  if dot:
    own = axes.setdefault(objective, {})
    if not isinstance(own, dict):
      raise UsageError(f"sweep.{objective} is a setting and no objective")
    own[setting] = values
    return
  if isinstance(axes.get(name), dict):
    raise UsageError(f"sweep.{name} is an objective; give sweep.{name}.SETTING")
  for own in axes.values():
    if isinstance(own, dict):
      own.pop(name, None)
  axes[name] = values


def _refuse_fixed_axes(arguments: Sequence[str], axes: dict[str, Any]) -> None:
  """`--config.fixed.NAME` of a setting that is swept would have no effect."""
  for argument in arguments:
    field, _, text = argument.partition("=")
    name = field.removeprefix(_FIXED)
    if name != field and not isinstance(axes.get(name, {}), dict):
      raise UsageError(f"{name} is swept: give {_SWEEP}{name}={text}")


def _unknown_field(
  arguments: Sequence[str], config: ConfigDict
) -> UsageError | None:
  """The error for the first argument that names no field, if there is one."""
  fields = list(_fields(config))
  for argument in arguments:
    name = re.sub(r"^--(no)?", "", argument.partition("=")[0])
    if name.startswith("config.") and name not in fields:
      section, _, last = name.rpartition(".")
      peers = [f for f in fields if f.rpartition(".")[0] == section] or fields
      lasts = {f.rpartition(".")[2]: f for f in peers}
      close = difflib.get_close_matches(last, lasts, n=1)
      hint = f"did you mean {lasts[close[0]]}? " if close else ""
      if name.startswith("config.fixed."):
        own = name.removeprefix("config.fixed.")
        hint += f"a hyper-parameter is given in config.sweep.{own}; "
      return UsageError(
        f"unknown field {name}; {hint}the fields there: {', '.join(peers)}"
      )
  return None


def _fields(config: ConfigDict, prefix: str = "config.") -> Iterator[str]:
  for name, value in config.items():
    if name == "sweep":
      yield f"{prefix}sweep.NAME"
    elif isinstance(value, ConfigDict):
      yield from _fields(value, f"{prefix}{name}.")
    else:
      yield f"{prefix}{name}"


def _one_line(error: BaseException, path: Path) -> str:
  while error.__context__ is not None and "Error whilst parsing" in str(error):
    error = error.__context__  # in the place of its traceback as text
  if isinstance(error, SyntaxError):
    return f"{path}: line {error.lineno}: {error.msg}"
  text = " ".join(str(error).split())
  text = text.replace(
    "('Non-boolean argument to boolean flag', ", "(give True or False, not "
  )
  if isinstance(error, flags.Error):
    return text
  lines = [
    frame.lineno
    for frame in traceback.extract_tb(error.__traceback__)
    if frame.filename == str(path)
  ]
  where = f" line {lines[-1]}:" if lines else ""
  return f"{path.name}:{where} {type(error).__name__}: {text}"
