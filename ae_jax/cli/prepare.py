"""What a sweep is to do: its command checked, its folder made and locked."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, TextIO

from ml_collections import ConfigDict

from ae_jax import data, grid, sweep, tensorboard
from ae_jax.cli import start
from ae_jax.cli.flags import DEFAULT_CONFIG, parse
from ae_jax.environment import environment
from ae_jax.metrics.registry import metric_groups
from ae_jax.run_folder import checkpoints, run_config
from ae_jax.types import UsageError


class Run(NamedTuple):
  """A sweep that has been checked and can start."""

  trials: list[grid.Trial]
  dataset: data.Dataset
  metrics: tuple[str, ...]
  workdir: Path
  memory_bytes: int
  snapshot_seconds: float
  tensorboard: bool
  lock: TextIO  # held as long as it is open


def prepare(argv: Sequence[str]) -> Run:
  """Everything that can go wrong by a mistake of the user, before training."""
  config, axes, config_file, own = parse(argv, ("workdir",))
  fixed = config.fixed.to_dict()
  trials = grid.resolve(fixed | point for point in grid.union(axes))
  metrics = metric_groups(",".join(config.metrics).replace(" ", "").split(","))
  if config.memory_gb is not None and not config.memory_gb > 0:
    raise UsageError(f"memory_gb must be above 0; got {config.memory_gb}")
  if not config.snapshot_seconds >= 0:
    raise UsageError(
      f"snapshot_seconds must be 0 or above; got {config.snapshot_seconds}"
    )
  if config.tensorboard:
    tensorboard.check(trials)
  memory = (
    int(config.memory_gb * 1e9)
    if config.memory_gb is not None
    else sweep.half_of_memory()
  )
  dataset = data.load(**config.data)
  sweep.check(trials, dataset, memory)
  identity = _identity(config, metrics, config_file, dataset)
  workdir = _workdir(own["workdir"], config_file, identity)
  checkpoints.check(workdir)
  run = {
    "identity": identity,
    "config": json.loads(config.to_json_best_effort())
    | {"sweep": axes, "data": _with_whole_paths(config.data)},
    "command": list(argv),
    "data_range": data.value_range(dataset),
    "data_bytes": dataset.bytes,
    **environment(),
  }
  lock = run_config.open_workdir(workdir, run)
  return Run(
    trials,
    dataset,
    metrics,
    workdir,
    memory,
    config.snapshot_seconds,
    config.tensorboard,
    lock,
  )


def _identity(
  config: ConfigDict,
  metrics: tuple[str, ...],
  config_file: Path,
  dataset: data.Dataset,
) -> dict[str, Any]:
  """What must be the same for all runs in a workdir; the grid may grow."""
  identity = {
    "config_file": config_file.name,
    "objective": config.objective,
    "data.name": dataset.name,
    "data.test_fraction": config.data.test_fraction,
    "data.seed": config.data.seed,
    "data.standardize": config.data.standardize,
    **({"data.binarize": True} if config.data.binarize else {}),
    "metrics": metrics,
    **{f"fixed.{name}": value for name, value in config.fixed.items()},
    "data.sha256": data.digest(dataset),
  }
  return json.loads(json.dumps(identity))


def _with_whole_paths(fields: ConfigDict) -> dict[str, Any]:
  """The fields of `data`, its files as they are found from any folder."""
  return {
    name: str(start.absolute(value))
    if value is not None and name.endswith(("path", "dir"))
    else value
    for name, value in fields.items()
  }


def _workdir(
  given: str | None, config_file: Path, identity: dict[str, Any]
) -> Path:
  if given == "":
    raise UsageError("--workdir is empty; name a folder")
  if given is not None:
    return start.absolute(given)
  digest = hashlib.sha256(json.dumps(identity).encode()).hexdigest()[:8]
  names = [identity["data.name"], digest]
  if config_file.name != DEFAULT_CONFIG and config_file.stem != names[0]:
    names.insert(0, config_file.stem)
  return Path("runs", "-".join(names)).absolute()
