"""What a run ran on: versions, commit, devices."""

import importlib.metadata
import platform
import subprocess
from pathlib import Path
from typing import Any

import jax

_PACKAGES = (
  "ae_jax",
  "jax",
  "jaxlib",
  "flax",
  "optax",
  "orbax-checkpoint",
  "numpy",
  "scikit-learn",
  "tensorflow-datasets",
)


def environment() -> dict[str, Any]:
  """For `config.json`: how to make the same results again."""
  return {
    "versions": {
      "python": platform.python_version(),
      **{name: importlib.metadata.version(name) for name in _PACKAGES},
    },
    "git_commit": _git_commit(),
    "devices": [f"{d.platform}: {d.device_kind}" for d in jax.devices()],
  }


def _git_commit() -> str | None:
  """The commit of this checkout, "-dirty" if files differ; None outside git."""
  try:
    described = subprocess.run(
      ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"],
      cwd=Path(__file__).parent,
      capture_output=True,
      text=True,
      check=True,
    )
  except (OSError, subprocess.CalledProcessError):
    return None
  return described.stdout.strip()
