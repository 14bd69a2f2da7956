"""What the benchmark runs on, and who else is busy there."""

import os
import platform
import re
import time
from pathlib import Path

import psutil  # type: ignore[import-untyped]


def processor() -> str:
  """Its name, as the system has it."""
  try:
    text = Path("/proc/cpuinfo").read_text()
  except OSError:
    return platform.processor()
  found = re.search(r"model name\s*: (.*)", text)
  return found[1] if found else platform.processor()


class OtherLoad:
  """How busy other programs keep the processors, from now on."""

  def __init__(self) -> None:
    self._start = time.perf_counter()
    self._busy = self._seconds()

  def share(self) -> float:
    """Of all processors, in [0, 1]."""
    elapsed = time.perf_counter() - self._start
    busy = self._seconds() - self._busy
    return max(0.0, busy) / (elapsed * (os.cpu_count() or 1))

  def _seconds(self) -> float:
    everyone, own = psutil.cpu_times(), psutil.Process().cpu_times()
    busy = everyone.user + everyone.nice + everyone.system
    return busy + getattr(everyone, "steal", 0.0) - own.user - own.system
