"""The networks that are timed, with data made on the spot."""

import functools
import math
from typing import Any, NamedTuple

import numpy as np
from sklearn.datasets import load_digits

from ae_jax import grid, lookup
from ae_jax.data import Dataset, from_arrays
from ae_jax.declarations import of_objective
from ae_jax.engine.input_pipeline import InMemory

BATCH_SIZE = 128
LEARNING_RATE = 1e-3
_NUM_IMAGES = 12_800
_NUM_CAUSES = 16
_NUM_CLASSES = 10
_NUM_TEST = 100  # nothing is tested


class Problem(NamedTuple):
  """A network and the data that it is trained on.

  Attributes:
    features: shape of an example; `(64,)` stands for scikit-learn's digits as
      float32, any other for made-up images as bytes.
    settings: of the network, as in a grid.
  """

  features: tuple[int, ...]
  settings: dict[str, Any]

  def points(self, num_trials: int, **settings: Any) -> list[grid.Point]:
    """A grid of trials that differ in their seed; pairs share their class."""
    fixed = {
      "batch_size": BATCH_SIZE,
      "learning_rate": LEARNING_RATE,
      **self.settings,
      **settings,
    }
    objective = lookup.find("objective", fixed.get("objective", "autoencoder"))
    if of_objective(objective).batch == "pairs":
      fixed["pairs"] = "class"  # the data has labels, and no factors
    return [{**fixed, "seed": seed} for seed in range(num_trials)]

  def input_pipeline(self) -> InMemory:
    """The data as programs take them."""
    dataset = self.dataset()
    return InMemory(dataset.train, dataset=dataset)

  def data(self) -> np.ndarray:
    """`[n, *features]`, float32 or uint8."""
    return self.dataset().train

  def dataset(self) -> Dataset:
    """The data with labels of ten classes."""
    return _digits() if self.features == (64,) else _images(self.features)


PROBLEMS = {
  "digits-64-64-8": Problem((64,), {"widths": (64,), "latent_size": 8}),
  "784-32-16": Problem((784,), {"widths": (32,), "latent_size": 16}),
  "784-512-256-32": Problem((784,), {"widths": (512, 256), "latent_size": 32}),
  "conv-16-32-16": Problem(
    (28, 28), {"network": "conv", "widths": (16, 32), "latent_size": 16}
  ),
}

# With so few epochs that no placement is tried out.
QUICK = {
  "64-16-4": Problem(
    (64,), {"widths": (16,), "latent_size": 4, "num_epochs": 1}
  )
}


@functools.cache
def _digits() -> Dataset:
  x, label = load_digits(return_X_y=True)
  return _dataset((x / 16).astype(np.float32), label)


@functools.cache
def _images(features: tuple[int, ...]) -> Dataset:
  """Of a few causes and mostly dark, as real ones: training stays calm."""
  rng = np.random.default_rng(0)
  causes = rng.standard_normal((_NUM_IMAGES, _NUM_CAUSES), np.float32)
  effects = rng.standard_normal((_NUM_CAUSES, math.prod(features)), np.float32)
  brightness = 1 / (1 + np.exp(3 - causes @ effects / 2))
  x = (255 * brightness).astype(np.uint8).reshape(-1, *features)
  return _dataset(x, rng.integers(0, _NUM_CLASSES, _NUM_IMAGES))


def _dataset(x: np.ndarray, label: np.ndarray) -> Dataset:
  return from_arrays(
    x, x[:_NUM_TEST], label, label[:_NUM_TEST], validation_fraction=0
  )
