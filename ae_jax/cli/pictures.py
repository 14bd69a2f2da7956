"""Pictures of many images: floats or bytes -> one PNG."""

from pathlib import Path

import numpy as np
from PIL import Image

from ae_jax.atomic import replacing
from ae_jax.data import are_images
from ae_jax.types import UsageError

_SIDE = 56  # pixels that a small image is magnified to
_GAP, _LEAD_GAP = 4, 16
_BACKGROUND = 255


def check_images(features: tuple[int, ...]) -> None:
  """Raises UsageError unless examples of that shape are images."""
  if not are_images(features):
    raise UsageError(
      "a picture needs images [height, width] of 1 or 3 channels; this data has"
      f" shape {features}: name an OUTPUT.npy"
    )


def gray_range(low: float, high: float) -> tuple[float, float]:
  """What to draw black and white, of data in such a range.

  Returns:
    0 and 1 for data that lies between them, else the range itself.
  """
  return (0.0, 1.0) if low >= 0 and high <= 1 else (low, high)


def say_range(low: float, high: float) -> str:
  """What `tile` does to the values, in words."""
  return f"{low:.4g} is black, {high:.4g} white, values beyond are clipped"


def in_rows(images: np.ndarray, columns: int) -> np.ndarray:
  """`[n, ...]` -> `[rows, columns, ...]`, the last row filled up with NaN."""
  missing = -len(images) % columns
  padding = [(0, missing)] + [(0, 0)] * (images.ndim - 1)
  images = np.pad(images, padding, constant_values=np.nan)
  return images.reshape(-1, columns, *images.shape[1:])


def tile(
  images: np.ndarray, low: float, high: float, *, lead: bool = False
) -> np.ndarray:
  """Lays images out on a white page.

  Args:
    images: `[rows, columns, height, width]`, or with 1 or 3 channels; NaN
      leaves a place empty.
    low: is drawn black, and so is what is below.
    high: is drawn white, and so is what is above.
    lead: sets the first column apart.

  Returns:
    uint8 `[page height, page width, channels]`.
  """
  rows, columns, height, width = images.shape[:4]
  scaled = np.clip((images - low) / ((high - low) or 1.0), 0, 1) * 255
  pixels = np.where(np.isnan(scaled), _BACKGROUND, np.rint(scaled))
  pixels = pixels.astype(np.uint8).reshape(rows, columns, height, width, -1)
  factor = max(1, round(_SIDE / max(height, width)))
  pixels = pixels.repeat(factor, axis=2).repeat(factor, axis=3)
  height, width = height * factor, width * factor
  page = np.full(
    (
      rows * (height + _GAP) + _GAP,
      columns * (width + _GAP) + _GAP + lead * _LEAD_GAP,
      pixels.shape[-1],
    ),
    _BACKGROUND,
    np.uint8,
  )
  for row in range(rows):
    for column in range(columns):
      top = _GAP + row * (height + _GAP)
      left = _GAP + column * (width + _GAP) + (lead and column > 0) * _LEAD_GAP
      page[top : top + height, left : left + width] = pixels[row, column]
  return page


def write(path: Path, page: np.ndarray) -> None:
  """Writes a PNG; it is there whole or not at all.

  Raises:
    UsageError: it cannot be written.
  """
  pixels = page[..., 0] if page.shape[-1] == 1 else page
  try:
    with replacing(path) as file:
      Image.fromarray(pixels).save(file, "PNG")
  except OSError as error:
    raise UsageError(f"cannot write {path}: {error.strerror}") from error
