"""A finished run as one HTML page that needs no network.

What draws it, `pip install 'ae_jax[report]'`, is loaded when it is used.
"""

from pathlib import Path

from ae_jax.data import Dataset
from ae_jax.extras import require
from ae_jax.lookup import Modules, all_of
from ae_jax.report.notebook import Page

__all__ = ["REPORT", "Page", "check_packages", "write", "write_picture"]

REPORT = "report.html"


def write(
  folder: Path,
  dataset: Dataset,
  *,
  by: str | None = None,
  modules: Modules = (),
) -> Path:
  """Writes the page of a run.

  Args:
    folder: of the run.
    dataset: that it was trained on.
    by: the column that says which trial is best; by default the validation
      error.
    modules: where functions of a user may be taken from, see `ae_jax.load`.

  Returns:
    The path of the page.

  Raises:
    UsageError: there is no run, no finished trial or no such metric; a folder
      of the run is a link; or a package is missing.
  """
  check_packages()
  from ae_jax.report import page

  return page.write(folder, folder / REPORT, dataset, by, all_of(modules))


def write_picture(
  folder: Path,
  dataset: Dataset,
  path: Path,
  *,
  by: str | None = None,
  modules: Modules = (),
) -> None:
  """Draws error against latent size, and reconstructions next to PCA's.

  Args:
    folder: of the run.
    dataset: that it was trained on, images.
    path: of the PNG, 1200 x 450 px.
    by: the metric on the left, and that says which trials are best.
    modules: where functions of a user may be taken from, see `ae_jax.load`.

  Raises:
    UsageError: there is no run, no such metric or no trial that ended well;
      the data are no images; or a package is missing.
  """
  check_packages()
  from ae_jax.report import still

  still.write_picture(folder, dataset, path, by, all_of(modules))


def check_packages() -> None:
  """Checks that what the page is drawn with is installed.

  Raises:
    UsageError: a package is not installed.
  """
  require("report", "plotly", "matplotlib", "jinja2")
