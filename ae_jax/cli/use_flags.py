"""The command line of `use`: a trial, arrays in, arrays out."""

import argparse
import ast
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from ae_jax.types import UsageError


def parse(argv: Sequence[str]) -> argparse.Namespace:
  """Parses a command line.

  Args:
    argv: the program, a command and its arguments.

  Returns:
    `command`, `run_dir`, `trial`, `by`, `where`, and what the command takes.

  Raises:
    UsageError: a mistake in it.
  """
  return _parser().parse_args(argv[1:])


class _Parser(argparse.ArgumentParser):
  """Tells a mistake in one line."""

  def error(self, message: str) -> NoReturn:
    raise UsageError(f"{message} (see {self.prog} --help)")


def _parser() -> argparse.ArgumentParser:
  parser = _Parser(
    prog="./launch.sh",
    description="Uses a trained model of a run.",
    allow_abbrev=False,
  )
  commands = parser.add_subparsers(
    metavar="COMMAND", dest="command", required=True
  )
  trial = _Parser(add_help=False, allow_abbrev=False)
  for name, options in _TRIAL.items():
    trial.add_argument(name, **options)
  for name, (text, arguments, example) in _COMMANDS.items():
    command = commands.add_parser(
      name,
      parents=[trial],
      allow_abbrev=False,
      help=text,
      description=f"{text[0].upper()}{text[1:]}.",
      epilog=f"example: ./launch.sh {name} RUN_DIR {example}\n\n{_FILES}",
      formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    for argument, options in arguments.items():
      command.add_argument(argument, **options)
  return parser


def _settings(text: str) -> dict[str, Any]:
  """`objective=vae,widths=8,4` -> `{"objective": "vae", "widths": (8, 4)}`."""
  settings = {}
  for part in re.split(r",\s*(?=\w+=)", text):
    name, equals, value = part.partition("=")
    if not (name and equals and value):
      raise argparse.ArgumentTypeError(
        f"give NAME=VALUE, or several with commas; got {text!r}"
      )
    try:
      settings[name] = ast.literal_eval(value)
    except (ValueError, SyntaxError):
      settings[name] = value  # a word
  return settings


_TRIAL: dict[str, dict[str, Any]] = {
  "run_dir": {
    "metavar": "RUN_DIR",
    "help": "the workdir of a sweep, which it prints",
  },
  "--trial": {
    "default": "best",
    "help": "an id of the table, or best (default)",
  },
  "--by": {
    "metavar": "COLUMN",
    "help": "what best means: a column of the table (default:"
    " validation_squared_error; to compress, validation_negative_elbo_nats)",
  },
  "--where": {
    "default": {},
    "type": _settings,
    "metavar": "NAME=VALUE,...",
    "help": "settings that the best one must have",
  },
  "--modules": {
    "default": [],
    "type": lambda text: text.split(","),
    "metavar": "NAME,...",
    "help": "modules of yours that the model needs; they are imported",
  },
  "--label": {
    "type": int,
    "metavar": "CLASS",
    "help": "of a conditional VAE: the model of that class (from 0)",
  },
}


def _positive(text: str) -> int:
  if not text.isdecimal() or int(text) < 1:
    raise argparse.ArgumentTypeError(f"give an integer above 0; got {text!r}")
  return int(text)


def _file(metavar: str, text: str) -> dict[str, Any]:
  return {"type": Path, "metavar": metavar, "help": text}


_INPUT = _file("INPUT", "data [n, *features]: .npy, .npz (array x) or .png")
_CODES = _file("OUTPUT", "codes [n, latent]: .npy")
_DATA = _file("OUTPUT", "data [n, *features]: .npy, or .png of the first")
_FILES = """\
Bytes stand for x / 255 if the model was trained on bytes. A .npy may be larger
than memory. An output that is there already is replaced, once the new one is
whole; never an input."""
_COMMANDS: dict[str, tuple[str, dict[str, Any], str]] = {
  "encode": (
    "data to codes (of a Gaussian code the mean)",
    {"input": _INPUT, "output": _CODES},
    "x.npy codes.npy --where=objective=vae,latent_size=8",
  ),
  "decode": (
    "codes to data",
    {
      "codes": _file("CODES", "codes [n, latent]: .npy or .npz"),
      "output": _DATA,
    },
    "codes.npy decoded.npy --where=objective=vae,latent_size=8",
  ),
  "reconstruct": (
    "data to codes and back; a .png shows the first 64 above what came back",
    {"input": _INPUT, "output": _DATA},
    "x.npy reconstructed.png",
  ),
  "sample": (
    "new data: codes from the prior (a VAE) or like those of data, decoded",
    {
      "output": _DATA,
      "--num": {"type": _positive, "default": 64, "help": "how many (64)"},
      "--like": _file("DATA", "fit a mixture of ten Gaussians to its codes"),
      "--seed": {"type": int, "default": 0, "help": "of the codes (0)"},
    },
    "samples.png --where=objective=vae",
  ),
  "search": (
    "what is nearest to each query, by Euclidean distance of the codes",
    {
      "queries": _file("QUERIES", "data: .npy, .npz (array x) or .png"),
      "gallery": _file("GALLERY", "data to search in"),
      "folder": _file(
        "FOLDER", "gets indices.npy, distances.npy [n, num], found.png"
      ),
      "--num": {"type": _positive, "default": 10, "help": "neighbors (10)"},
    },
    "query.png x.npy found --num=5",
  ),
  "compress": (
    "data of 0 and another value, or bytes, to a smaller file without loss (by"
    " a VAE with likelihood=bernoulli, or logistic_mixture)",
    {"input": _INPUT, "output": _file("OUTPUT", "a new .aej")},
    "x.npy x.aej --where=objective=vae",
  ),
  "decompress": (
    "a file of compress to the array that it was made of, bit for bit, by the"
    " trial that made it",
    {
      "input": _file("INPUT", "the .aej"),
      "output": _file("OUTPUT", "data: .npy"),
    },
    "x.aej again.npy",
  ),
  "export": (
    "StableHLO functions and safetensors that need nothing of this package",
    {"folder": _file("FOLDER", "a new folder, or an earlier export")},
    "exported --trial=best",
  ),
}
