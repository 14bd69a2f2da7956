"""The dataset that a run was trained on."""

import inspect
from pathlib import Path

from ae_jax import data
from ae_jax.data import stored
from ae_jax.run_folder import run_config
from ae_jax.types import UsageError


def dataset_of(folder: Path, given: data.Dataset | None = None) -> data.Dataset:
  """Loads the dataset of a run; nothing is downloaded or written.

  Args:
    folder: of the run.
    given: the dataset, where the caller has it.

  Raises:
    UsageError: there is no run, or the dataset is not, or no longer, the one
      that it was trained on.
  """
  config = run_config.read(folder)
  source = config["data"]["source"]
  if given is not None:
    dataset = given
  elif source is None:
    dataset = stored.load(folder / stored.DATA)
  else:
    known = inspect.signature(data.load).parameters.keys() - {"prepare"}
    if not source.keys() <= known:
      raise UsageError(
        f"{folder / run_config.CONFIG} names data by"
        f" {min(source.keys() - known)!r}, which is not known here"
      )
    dataset = data.load(**source, prepare=False)
  if data.digest(dataset) != config["identity"].get("data"):
    raise UsageError(
      f"dataset {dataset.name} is not the one that run {folder} was trained"
      " on: its digest differs"
    )
  return dataset
