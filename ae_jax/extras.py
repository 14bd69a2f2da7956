"""Packages that only some uses need: extras of the installation."""

import importlib.util

from ae_jax.types import UsageError


def require(extra: str, *packages: str) -> None:
  """Checks that the packages of an extra are there, before they are used.

  Args:
    extra: its name in pyproject.toml.
    *packages: as they are imported.

  Raises:
    UsageError: one is missing.
  """
  for package in packages:
    if importlib.util.find_spec(package) is None:
      raise UsageError(
        f"{package} is not installed: pip install 'ae_jax[{extra}]'"
      )
