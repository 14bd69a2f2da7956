"""Rebuilds the page of a run, or draws its picture.

ae-jax report RUN_DIR [--by=COLUMN] [--picture=FILE.png] [--modules=NAME,...]

  RUN_DIR    the workdir of a sweep; its report.html is written anew
  --by       the column that says which trial is best; default:
             validation_squared_error
  --picture  draws one still picture there, in the place of the page
  --modules  imports these, for models and data that need functions of yours
"""

from collections.abc import Sequence
from pathlib import Path

from absl import flags

from ae_jax import report
from ae_jax.cli import start
from ae_jax.run_folder.dataset import dataset_of
from ae_jax.types import UsageError


def main(argv: Sequence[str]) -> None:
  """Runs the program; exits with 2 and one line at a mistake of the user."""
  print(start.checked(rebuild, argv, __doc__))


def rebuild(argv: Sequence[str]) -> Path:
  """Writes what was asked for; returns its path.

  Raises:
    UsageError: a mistake on the command line; the dataset is not, or no
      longer, the one that the run was trained on; or a file that cannot be
      written.
  """
  values = flags.FlagValues()
  flags.DEFINE_string("by", None, "", values)
  flags.DEFINE_string("picture", None, "", values)
  flags.DEFINE_list("modules", [], "", values)
  workdir = start.run_directory(values, argv)
  modules = start.own_modules(values.modules)
  dataset = dataset_of(workdir, modules=modules)
  try:
    if values.picture is None:
      return report.write(workdir, dataset, by=values.by, modules=modules)
    path = start.absolute(values.picture)
    if path.suffix != ".png":
      raise UsageError(f"--picture must end in .png; got {values.picture}")
    report.write_picture(workdir, dataset, path, by=values.by, modules=modules)
    return path
  except OSError as error:
    what = values.picture or workdir / report.REPORT
    raise UsageError(f"cannot write {what}: {error.strerror}") from error
