"""Measures a finished run by more metrics, from the models on disk.

ae-jax evaluate RUN_DIR --metrics=NAME,...

  RUN_DIR    the folder of a sweep; its table gets the new columns
  --metrics  of reconstruction, features, neighbors, activity, noise,
             likelihood, rate, disentanglement; default: all
"""

from collections.abc import Sequence

from absl import flags

from ae_jax import sweep
from ae_jax.cli import start
from ae_jax.metrics.registry import available_groups
from ae_jax.types import UsageError


def main(argv: Sequence[str]) -> None:
  """Runs the program; exits with 2 and one line at a mistake of the user."""
  print(start.checked(evaluate, argv, __doc__ or ""))


def evaluate(argv: Sequence[str]) -> str:
  """Measures what is missing; returns what to say.

  Raises:
    UsageError: a mistake on the command line; there is no run, or its dataset
      is not the one that it was trained on.
  """
  values = flags.FlagValues()
  values.set_gnu_getopt(True)
  flags.DEFINE_list("metrics", [*available_groups()], "", values)
  try:
    _, *folders = values(argv)
  except flags.Error as error:
    raise UsageError(" ".join(str(error).split())) from error
  if len(folders) != 1:
    raise UsageError(f"name one run directory; got {len(folders)}")
  results = sweep.evaluate(start.absolute(folders[0]), values.metrics)
  return f"{len(results)} trials: {results.folder}/results.csv"
