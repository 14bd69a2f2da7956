"""What a row says of a trial."""

import numpy as np
import pytest

from ae_jax.rows import _with_last_update


@pytest.mark.parametrize(
  ("errors", "status"),
  [
    ({"train": 1.0, "validation": 1.0, "test": 1.0}, "ok"),
    ({"train": np.nan, "validation": 1.0, "test": 1.0}, "diverged"),
    # Nothing of the test set takes a trial out of a choice.
    ({"train": 1.0, "validation": 1.0, "test": np.nan}, "ok"),
  ],
)
def test_a_model_that_its_last_update_broke_has_diverged(errors, status):
  row = {f"{part}_squared_error": error for part, error in errors.items()}
  row |= {"status": "ok", "diverged_step": None}
  found = _with_last_update(row, 40)
  assert found["status"] == status
  assert found["diverged_step"] == (39 if status == "diverged" else None)
