"""What a run ran on: versions, commit, devices."""

import contextlib
import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

import jax

from ae_jax.types import UsageError, reason

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


def use_all_cores() -> None:
  """Makes each core of a CPU a device, unless the user said otherwise.

  Trials are sharded over devices. Once JAX has started its devices stay.
  """
  flag = "xla_force_host_platform_device_count"
  if jax.config.values[
    "jax_num_cpu_devices"
  ] < 0 and flag not in os.environ.get("XLA_FLAGS", ""):
    with contextlib.suppress(RuntimeError):  # JAX has started
      jax.config.update("jax_num_cpu_devices", _num_cores())


def check_devices() -> None:
  """Raises UsageError where JAX finds no device to run on."""
  try:
    jax.devices()
  except (RuntimeError, AssertionError) as error:  # JAX asserts a platform
    platforms = os.environ.get("JAX_PLATFORMS") or "not set"
    raise UsageError(
      f"JAX finds no device; JAX_PLATFORMS is {platforms}, and the jaxlib that"
      f" is installed must go with it ({reason(error)})"
    ) from error


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


def _num_cores() -> int:
  if hasattr(os, "sched_getaffinity"):  # not on macOS
    return len(os.sched_getaffinity(0))
  return os.cpu_count() or 1


def _git_commit() -> str | None:
  """The commit of this checkout, "-dirty" if files differ; None outside one."""
  root = Path(__file__).parent.parent
  if not (root / ".git").exists() or not (root / "launch.sh").exists():
    return None
  try:
    described = subprocess.run(
      ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"],
      cwd=root,
      capture_output=True,
      text=True,
      check=True,
    )
  except (OSError, subprocess.CalledProcessError):
    return None
  return described.stdout.strip()
