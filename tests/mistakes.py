"""How the tests look at a mistake that Python tells."""

import pytest

from ae_jax.types import UsageError


def check_fails(match, call, *args, **kwargs):
  """Checks that a call raises a `UsageError` of one line."""
  with pytest.raises(UsageError, match=match) as caught:
    call(*args, **kwargs)
  assert "\n" not in str(caught.value)
