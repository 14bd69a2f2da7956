"""Gives free memory back to the system, so that a long run does not grow."""

import ctypes
from typing import Any

import jax

_M_MMAP_THRESHOLD = -3  # of glibc's malloc.h
_MMAP_BYTES = 1 << 17
_CLEAR_AFTER = 10  # groups


class Memory:
  """What is free after a group goes back to the system, where it is glibc's.

  glibc keeps freed pages, and more of them the more sizes of block it has seen,
  so blocks from a fixed size on are mapped one by one. JAX keeps what it has
  traced for as long as it runs; to forget it after each group would cost half a
  second.
  """

  def __init__(self) -> None:
    libc = ctypes.CDLL(None)
    self._trim: Any = getattr(libc, "malloc_trim", None)
    self._num_groups = 0
    if self._trim is not None:
      libc.mallopt(_M_MMAP_THRESHOLD, _MMAP_BYTES)

  def give_back(self) -> None:
    """To be called once a group."""
    self._num_groups += 1
    if self._num_groups % _CLEAR_AFTER == 0:
      jax.clear_caches()
    if self._trim is not None:
      self._trim(0)
