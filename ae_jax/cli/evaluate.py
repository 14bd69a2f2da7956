"""Measures a finished run by more metrics, from the models on disk.

ae-jax evaluate RUN_DIR --metrics=NAME,... [--on_all] [--modules=NAME,...]

  RUN_DIR    the folder of a sweep; its table gets the new columns
  --metrics  of reconstruction, features, neighbors, activity, noise,
             imputation, likelihood, rate, anomaly, disentanglement, or
             module:function of yours;
             default: all of ours that can be measured here
  --on_all   measures them on all examples; by default most are measured on at
             most 10,000 train and 5,000 validation and test examples
  --modules  imports these, for models and data that need functions of yours
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from absl import flags

from ae_jax import sweep
from ae_jax.cli import endings, start
from ae_jax.metrics.registry import available_groups, metric_groups
from ae_jax.run_folder.results import RESULTS


def main(argv: Sequence[str]) -> None:
  """Runs the program; exits with 2 and one line at a mistake of the user."""
  folder, metrics, on_all, modules = start.checked(parse, argv, __doc__ or "")
  try:
    with endings.one_line():
      results = sweep.evaluate(folder, metrics, on_all=on_all, modules=modules)
  except KeyboardInterrupt:
    print("\ninterrupted: the same command goes on", file=sys.stderr)
    sys.exit(130)
  print(f"{len(results)} trials: {folder / RESULTS}")


def parse(
  argv: Sequence[str],
) -> tuple[Path, tuple[str, ...], bool, list[str]]:
  """The folder, the metric groups, whether on all examples, the modules.

  Raises:
    UsageError: a mistake on the command line.
  """
  values = flags.FlagValues()
  flags.DEFINE_list("metrics", [*available_groups()], "", values)
  flags.DEFINE_bool("on_all", False, "", values)
  flags.DEFINE_list("modules", [], "", values)
  folder = start.run_directory(values, argv)
  start.own_modules([*values.modules, *(m for m in values.metrics if ":" in m)])
  wanted = metric_groups(values.metrics)
  return folder, wanted, values.on_all, values.modules
