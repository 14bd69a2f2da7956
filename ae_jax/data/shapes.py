"""Images drawn from known factors, as those of dSprites.

Five factors, each independent of the others: shape (square, ellipse, heart),
scale, orientation, x and y position. The full grid, in the order of its
factors, has 3 x 6 x 40 x 32 x 32 images of 64 x 64 pixels.
"""

import math
from collections.abc import Sequence

import numpy as np
import tqdm

from ae_jax.types import UsageError

FACTORS = ("shape", "scale", "orientation", "x", "y")
UNORDERED = ("shape",)
SIZES = (3, 6, 40, 32, 32)
SIDE = 64

_BLOCK = 1024  # images drawn at once


def read(sizes: str) -> dict[str, np.ndarray]:
  """Draws a grid.

  Args:
    sizes: how many values of each factor, as "3x3x8x8x8": evenly spaced ones
      of the full grid. "": all of them.

  Returns:
    `train`, all images `[n, 64, 64, 1]`, uint8, 0 or 255; `train_labels`, the
    shape; and `train_factors`, `[n, 5]`, which value of each factor it is.

  Raises:
    UsageError: they are no such numbers.
  """
  counts = _counts(sizes)
  grid = np.indices(counts).reshape(len(counts), -1).T
  values = [
    np.arange(count) * size // count
    for count, size in zip(counts, SIZES, strict=True)
  ]
  images = np.empty((len(grid), SIDE, SIDE, 1), np.uint8)
  starts = range(0, len(grid), _BLOCK)
  for start in tqdm.tqdm(starts, "drawing shapes", delay=2):
    block = grid[start : start + _BLOCK]
    picked = np.stack([v[i] for v, i in zip(values, block.T, strict=True)], 1)
    images[start : start + _BLOCK, ..., 0] = draw(picked)
  return {
    "train": images,
    "train_labels": grid[:, 0],
    "train_factors": grid.astype(np.int32),
  }


def draw(factors: np.ndarray) -> np.ndarray:
  """Draws images.

  A shape is `scale / 2` to `scale` of its largest size, which leaves a border
  free in every position; orientations are even steps of a turn.

  Args:
    factors: `[n, 5]`, integers below `SIZES`.

  Returns:
    `[n, 64, 64]`, uint8, 0 or 255.
  """
  shape = factors[:, 0]
  scale, orientation, x, y = factors[:, 1:].T.astype(np.float32)
  pixels = (np.arange(SIDE, dtype=np.float32) + 0.5) / SIDE
  size = 0.2 * (0.5 + 0.5 * scale / (SIZES[1] - 1))
  angle = orientation * np.float32(2 * np.pi / SIZES[2])
  along = 0.25 + 0.5 * x / (SIZES[3] - 1)
  down = 0.25 + 0.5 * y / (SIZES[4] - 1)
  u = ((pixels[None] - along[:, None]) / size[:, None])[:, None, :]
  v = ((pixels[None] - down[:, None]) / size[:, None])[:, :, None]
  cos, sin = np.cos(angle)[:, None, None], np.sin(angle)[:, None, None]
  a, b = cos * u + sin * v, cos * v - sin * u
  within = np.stack(
    [
      np.maximum(abs(a), abs(b)) <= math.sqrt(0.5),
      a**2 + (b / 0.6) ** 2 <= 1,
      # The curve (a^2 + b^2 - 1)^3 = a^2 b^3, upright and within the circle.
      ((1.2 * a) ** 2 + (1.2 * b) ** 2 - 1) ** 3
      <= (1.2 * a) ** 2 * (-1.2 * b) ** 3,
    ]
  )
  return 255 * within[shape, np.arange(len(factors))].astype(np.uint8)


def _counts(sizes: str) -> Sequence[int]:
  if not sizes:
    return SIZES
  words = sizes.split("x")
  if len(words) == len(SIZES) and all(word.isdecimal() for word in words):
    counts = [*map(int, words)]
    if all(1 <= c <= s for c, s in zip(counts, SIZES, strict=True)):
      return counts
  full = "x".join(map(str, SIZES))
  raise UsageError(
    f"data.name=shapes/{sizes}: give a number of values of"
    f" {', '.join(FACTORS)}, at most shapes/{full}"
  )
