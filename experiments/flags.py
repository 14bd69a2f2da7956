"""Command line -> config, with one clear line for a mistake.

ml_collections parses. Three things are added: `--config` may be left out, or
name a file in `experiments/configs`; any `--config.sweep.<setting>=(a, b)` is
taken, also a hyper-parameter that the config file does not know; and a mistake
is a `UsageError`.
"""

import ast
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from absl import flags
from ml_collections import ConfigDict, config_flags

from ae_jax.types import UsageError

CONFIGS = Path(__file__).parent / "configs"
DEFAULT_CONFIG = "digits.py"
_SWEEP = "--config.sweep."


def parse(
  argv: Sequence[str], own_flags: Sequence[str] = ()
) -> tuple[ConfigDict, Path, dict[str, str | None]]:
  """Parses a command line.

  Args:
    argv: the program and its arguments.
    own_flags: names of the program's other flags; each takes a string.

  Returns:
    The config with all overrides, its file, and the values of `own_flags`
    (None where not given).

  Raises:
    UsageError: an unknown flag or field, a value of a wrong type, or a config
      file that cannot be read.
  """
  arguments = list(_one_token_each(argv[1:]))
  named = [a for a in arguments if a.startswith("--config=")]
  axes = [a for a in arguments if a.startswith(_SWEEP)]
  rest = [a for a in arguments if a not in (*named, *axes)]
  path = _find(named[-1].partition("=")[2] if named else DEFAULT_CONFIG)
  loaded, _ = _parse(path, [], own_flags)
  try:
    config, values = _parse(path, rest, own_flags)
  except UsageError as error:
    raise UsageError(
      f"{error}; fields: {', '.join(_fields(loaded))}"
    ) from error
  with config.unlocked():
    for axis in axes:
      name, _, text = axis.removeprefix(_SWEEP).partition("=")
      _override(config.sweep, name, parse_values(name, text))
  return config, path, values


def parse_values(name: str, text: str) -> tuple[Any, ...]:
  """`"2, 8"`, `"(2, 8)"`, `"8"` or `"vae, sparse"` -> a tuple of values.

  Raises:
    UsageError: the text is none of these.
  """
  try:
    values = ast.literal_eval(text)
  except (ValueError, SyntaxError):
    words = [word.strip() for word in text.strip("()[]").split(",")]
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
    config.items()  # a file that failed to load says so only now
  except Exception as error:  # a config file may raise anything
    raise UsageError(_one_line(error, path)) from error
  if stray:
    raise UsageError(f"unexpected argument {stray[0]!r}")
  return config, {name: values[name].value for name in own_flags}


def _one_token_each(arguments: Sequence[str]) -> Iterator[str]:
  """`--config.x 1` -> `--config.x=1`, and `-config` -> `--config`."""
  pending = None
  for argument in arguments:
    if pending is not None and not argument.startswith("-"):
      yield f"{pending}={argument}"
      pending = None
      continue
    if pending is not None:
      yield pending
    pending = None
    if argument.startswith("-") and not argument.startswith("--"):
      argument = f"-{argument}"
    if argument.startswith("--") and "=" not in argument:
      pending = argument
    else:
      yield argument
  if pending is not None:
    yield pending


def _find(name: str) -> Path:
  """A path as it is, or the name of a file in `experiments/configs`."""
  path = Path(name)
  if path.is_file():
    return path.absolute()
  shipped = CONFIGS / path.with_suffix(".py").name
  if shipped.is_file() and path.parent in (
    Path("."),
    Path("experiments/configs"),
  ):
    return shipped
  names = ", ".join(sorted(p.name for p in CONFIGS.glob("[!_]*.py")))
  raise UsageError(f"no config file {name!r}; give a path, or one of: {names}")


def _override(sweep: ConfigDict, name: str, values: tuple[Any, ...]) -> None:
  """Sets an axis; at the top it also replaces those of single objectives."""
  objective, dot, setting = name.rpartition(".")
  if dot:
    if objective not in sweep:
      sweep[objective] = ConfigDict()
    sweep[objective][setting] = values
    return
  for own in sweep.values():
    if isinstance(own, ConfigDict) and name in own:
      del own[name]
  sweep[name] = values


def _fields(config: ConfigDict, prefix: str = "config.") -> Iterator[str]:
  for name, value in config.items():
    if name == "sweep":
      yield f"{prefix}sweep.<hyper-parameter>"
    elif isinstance(value, ConfigDict):
      yield from _fields(value, f"{prefix}{name}.")
    else:
      yield f"{prefix}{name}"


def _one_line(error: Exception, path: Path) -> str:
  if isinstance(error, SyntaxError):
    return f"{path}: line {error.lineno}: {error.msg}"
  text = str(error.args[0] if error.args else error)
  text = " ".join(text.split()).strip("'\"")
  if isinstance(error, flags.Error):
    return text
  return f"{path.name}: {type(error).__name__}: {text}"
