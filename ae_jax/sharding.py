"""Trials spread over the local devices."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from ae_jax.types import Array

ALIGNMENT = 64  # bytes; where a CPU takes an array without a copy
_BY_TRIAL = PartitionSpec("trials")
_SHARED = PartitionSpec()


def shard_over_trials(
  function: Callable[..., Any],
  num_devices: int,
  num_by_trial: int,
  num_shared: int,
  **jit_options: Any,
) -> Any:
  """Compiles a function of trials so that each device has its own ones.

  No device waits for another, or sees another's trials. On a CPU jaxlib's
  batched LAPACK calls (eigh, cholesky, ...) and callbacks into Python wait for
  threads that the devices themselves occupy, for ever: such a function must
  have one device, see `needs_one_device`.

  Args:
    function: its first arguments and all results have the trials as leading
      axis, a multiple of the devices; the rest is the same for all trials.
    num_devices: of the local ones.
    num_by_trial: how many arguments have trials.
    num_shared: how many have not.
    **jit_options: of `jax.jit`.
  """
  mesh = _mesh(num_devices)
  specs = (_BY_TRIAL,) * num_by_trial + (_SHARED,) * num_shared
  return jax.jit(
    jax.shard_map(
      function,
      mesh=mesh,
      in_specs=specs,
      out_specs=_BY_TRIAL,
      check_vma=False,
    ),
    in_shardings=tuple(NamedSharding(mesh, spec) for spec in specs),
    out_shardings=NamedSharding(mesh, _BY_TRIAL),
    **jit_options,
  )


def needs_one_device(lowered: jax.stages.Lowered) -> bool:
  """Whether a function would hang on several devices of a CPU."""
  if jax.default_backend() != "cpu":
    return False
  text = lowered.as_text()
  return "lapack" in text or "callback" in text


def replicate(x: Array | np.ndarray, num_devices: int) -> Array:
  """Gives all of an array to every device; those of a CPU share one copy."""
  if jax.default_backend() == "cpu":
    x = np.asarray(x)
    if x.ctypes.data % ALIGNMENT:
      x = np.asarray(jnp.asarray(x))
  return jax.device_put(
    x,
    NamedSharding(_mesh(num_devices), _SHARED),
    may_alias=True,
  )


def _mesh(num_devices: int) -> Mesh:
  return Mesh(np.array(jax.local_devices()[:num_devices]), ("trials",))
