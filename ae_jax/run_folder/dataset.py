"""The dataset that a run was trained on."""

import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ae_jax import data, lookup
from ae_jax.data import stored
from ae_jax.data.own import is_own
from ae_jax.run_folder import run_config
from ae_jax.types import UsageError


def dataset_of(
  folder: Path,
  given: data.Dataset | None = None,
  modules: lookup.Modules = (),
) -> data.Dataset:
  """Loads the dataset of a run; nothing is downloaded or written.

  Args:
    folder: of the run.
    given: the dataset, where the caller has it.
    modules: where a dataset's function may be taken from, see `ae_jax.load`.

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
    known = inspect.signature(data.load).parameters.keys() - {
      "prepare",
      "function",
    }
    if not source.keys() <= known:
      raise UsageError(
        f"{folder / run_config.CONFIG} names data by"
        f" {min(source.keys() - known)!r}, which is not known here"
      )
    function = _own_function(source, modules)
    dataset = data.load(**source, prepare=False, function=function)
  if data.digest(dataset) != config["identity"].get("data"):
    raise UsageError(
      f"dataset {dataset.name} is not the one that run {folder} was trained"
      " on: its digest differs"
    )
  dequantize = config["identity"].get("dequantize", False)
  return dataset._replace(dequantize=dequantize)


def _own_function(
  source: Mapping[str, Any], modules: lookup.Modules
) -> Callable | None:
  """The function that makes the data, if one does.

  Raises:
    UsageError: it is in none of the modules that the caller gives.
  """
  name = str(source.get("name", ""))
  if source.get("path") is not None or not is_own(name):
    return None
  function = lookup.among("dataset", name, modules)
  if function is None:
    raise lookup.missing("dataset", name, modules)
  return function
