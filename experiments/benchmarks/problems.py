"""The networks that are timed, with data made on the spot."""

import functools
import math
from typing import Any, NamedTuple

import numpy as np
from sklearn.datasets import load_digits

from ae_jax import grid
from ae_jax.feed import InMemory

BATCH_SIZE = 128
LEARNING_RATE = 1e-3
_NUM_IMAGES = 12_800
_NUM_CAUSES = 16


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
    """A grid of trials that differ in their seed."""
    fixed = {
      "batch_size": BATCH_SIZE,
      "learning_rate": LEARNING_RATE,
      **self.settings,
      **settings,
    }
    return [{**fixed, "seed": seed} for seed in range(num_trials)]

  def feed(self) -> InMemory:
    """The data as programs take them."""
    return InMemory(self.data())

  def data(self) -> np.ndarray:
    """`[n, *features]`, float32 or uint8."""
    return _digits() if self.features == (64,) else _images(self.features)


PROBLEMS = {
  "digits-64-64-8": Problem((64,), {"widths": (64,), "latent_size": 8}),
  "784-32-16": Problem((784,), {"widths": (32,), "latent_size": 16}),
  "784-512-256-32": Problem((784,), {"widths": (512, 256), "latent_size": 32}),
  "conv-16-32-16": Problem(
    (28, 28), {"network": "conv", "widths": (16, 32), "latent_size": 16}
  ),
}

# With so few epochs that no layout is tried out.
QUICK = {
  "64-16-4": Problem(
    (64,), {"widths": (16,), "latent_size": 4, "num_epochs": 1}
  )
}


@functools.cache
def _digits() -> np.ndarray:
  return (load_digits().data / 16).astype(np.float32)


@functools.cache
def _images(features: tuple[int, ...]) -> np.ndarray:
  """Of a few causes and mostly dark, as real ones: training stays calm."""
  rng = np.random.default_rng(0)
  causes = rng.standard_normal((_NUM_IMAGES, _NUM_CAUSES), np.float32)
  effects = rng.standard_normal((_NUM_CAUSES, math.prod(features)), np.float32)
  brightness = 1 / (1 + np.exp(3 - causes @ effects / 2))
  return (255 * brightness).astype(np.uint8).reshape(-1, *features)
