"""Autoencoders in JAX: a whole sweep is one compiled program."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
  from ae_jax import compression, data, grid, metrics, objectives, pca
  from ae_jax.data import Dataset
  from ae_jax.declarations import (
    dataset,
    likelihood,
    metric,
    network,
    objective,
    optimizer,
  )
  from ae_jax.engine.autotune import OutOfMemory
  from ae_jax.networks import Network, Spec, autoencoder
  from ae_jax.objectives import OBJECTIVES
  from ae_jax.results import Results
  from ae_jax.run_folder.load import load
  from ae_jax.sweep import evaluate, run_sweep
  from ae_jax.tensorboard import TensorBoard
  from ae_jax.trained import Trained
  from ae_jax.training import trainer
  from ae_jax.types import (
    Autoencoder,
    Gaussian,
    Labeled,
    UsageError,
  )

__version__ = "0.1.0"

# Loaded on first use: `import ae_jax` is quick.
_NAMES = {
  "Autoencoder": "ae_jax.types",
  "Dataset": "ae_jax.data",
  "Gaussian": "ae_jax.types",
  "OBJECTIVES": "ae_jax.objectives",
  "OutOfMemory": "ae_jax.engine.autotune",
  "Results": "ae_jax.results",
  "Spec": "ae_jax.networks",
  "TensorBoard": "ae_jax.tensorboard",
  "Trained": "ae_jax.trained",
  "Labeled": "ae_jax.types",
  "Network": "ae_jax.networks",
  "UsageError": "ae_jax.types",
  "autoencoder": "ae_jax.networks",
  "dataset": "ae_jax.declarations",
  "evaluate": "ae_jax.sweep",
  "likelihood": "ae_jax.declarations",
  "load": "ae_jax.run_folder.load",
  "metric": "ae_jax.declarations",
  "network": "ae_jax.declarations",
  "objective": "ae_jax.declarations",
  "optimizer": "ae_jax.declarations",
  "run_sweep": "ae_jax.sweep",
  "trainer": "ae_jax.training",
}
_MODULES = ("compression", "data", "grid", "metrics", "objectives", "pca")

__all__ = [
  "OBJECTIVES",
  "Autoencoder",
  "Dataset",
  "Gaussian",
  "Labeled",
  "Network",
  "OutOfMemory",
  "Results",
  "Spec",
  "TensorBoard",
  "Trained",
  "UsageError",
  "autoencoder",
  "compression",
  "data",
  "dataset",
  "evaluate",
  "grid",
  "likelihood",
  "load",
  "metric",
  "metrics",
  "network",
  "objective",
  "objectives",
  "optimizer",
  "pca",
  "run_sweep",
  "trainer",
]


def __getattr__(name: str) -> Any:
  if name in _NAMES:
    return getattr(importlib.import_module(_NAMES[name]), name)
  if name in _MODULES:
    return importlib.import_module(f"ae_jax.{name}")
  raise AttributeError(f"module 'ae_jax' has no attribute {name!r}")


def __dir__() -> list[str]:
  return [*__all__, "__version__"]
