"""Pictures: where each pixel comes from, and what is black and white."""

import numpy as np
import pytest

from ae_jax.cli import pictures
from ae_jax.data import are_images
from ae_jax.types import UsageError


@pytest.mark.parametrize(
  ("features", "answer"),
  [
    ((8, 8), True), ((8, 6, 1), True), ((8, 6, 3), True), ((8, 8, 2), False),
    ((64,), False), ((), False), ((2, 8, 8, 1), False),
  ],
)  # fmt: skip
def test_what_images_are(features, answer):
  assert are_images(features) == answer
  if not answer:
    with pytest.raises(UsageError, match="a picture needs images"):
      pictures.check_images(features)


def test_data_outside_the_unit_interval_is_drawn_in_its_own_range():
  assert pictures.gray_range(0.0, 1.0) == (0, 1)
  assert pictures.gray_range(0.2, 0.3) == (0, 1)
  assert pictures.gray_range(-1.0, 1.0) == (-1, 1)
  assert pictures.gray_range(0.0, 16.0) == (0, 16)


def test_colors_rows_gaps_and_empty_places():
  # One pixel an image is magnified to 56; there are gaps of 4.
  images = np.array([[0.0, 0.5, 9.0], [-1.0, 4.0, 2.0], [1.0, 2.0, 3.0]])
  rows = pictures.in_rows(images.reshape(3, 1, 1, 3), columns=2)
  assert rows.shape == (2, 2, 1, 1, 3)
  page = pictures.tile(rows, 0.0, 4.0, lead=True)
  assert page.shape == (2 * 60 + 4, 2 * 60 + 4 + 16, 3)
  assert page.dtype == np.uint8
  for top, left, color in (
    (4, 4, (0, 32, 255)),
    (4, 80, (0, 255, 128)),
    (64, 4, (64, 128, 191)),
  ):
    place = page[top : top + 56, left : left + 56]
    assert (place == color).all()
    place[:] = 255
  assert (page == 255).all()


def test_one_value_alone_is_no_division_by_zero():
  page = pictures.tile(np.full((1, 1, 2, 2), 3.0), 3.0, 3.0)
  assert page[4, 4, 0] == 0
