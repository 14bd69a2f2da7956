"""Gives free memory back to the system, so that a long run does not grow."""

import ctypes
from typing import Any

import jax

_CLEAR_AFTER = 10  # groups


class Memory:
  """What is free goes back to the system, where the allocator is glibc's.

  glibc keeps pages that were freed. JAX keeps what it has traced and compiled
  for as long as it runs; to have it again costs the next group a few seconds.
  """

  def __init__(self) -> None:
    self._trim: Any = getattr(ctypes.CDLL(None), "malloc_trim", None)
    self._num_groups = 0

  def give_back(self) -> None:
    """To be called once a group."""
    self._num_groups += 1
    if self._num_groups % _CLEAR_AFTER == 0:
      jax.clear_caches()
    if self._trim is not None:
      self._trim(0)
