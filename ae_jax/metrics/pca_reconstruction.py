"""How well a PCA reconstructs, in float64."""

from collections.abc import Callable
from typing import Any

import numpy as np

from ae_jax.data import to_float
from ae_jax.metrics.eval_data import EvalData

_BLOCK = 4096


def columns(
  data: EvalData, reconstruct: Callable[[np.ndarray], np.ndarray]
) -> dict[str, float]:
  """The metric group "reconstruction".

  Args:
    data: to measure on; entries that are missing do not count.
    reconstruct: x `[n, d]` -> x~ `[n, d]`.
  """

  def means(x: Any, unit_interval: bool) -> dict[str, float]:
    x = np.asarray(to_float(x)).reshape(len(x), -1)
    blocks = [
      _sums(block, reconstruct(block), unit_interval)
      for block in np.split(x, range(_BLOCK, len(x), _BLOCK))
    ]
    return {k: sum(block[k] for block in blocks) / len(x) for k in blocks[0]}

  train = means(data.train, unit_interval=False)
  return {"train_squared_error": train["squared_error"]} | {
    f"{part}_{name}": value
    for part, rows in data.parts.items()
    for name, value in means(data.held_out[rows], data.unit_interval).items()
  }


def _sums(
  x: np.ndarray, again: np.ndarray, unit_interval: bool
) -> dict[str, float]:
  """Sums over examples and features, see `unit_interval_errors`."""
  values = {"squared_error": (x - again) ** 2}
  if unit_interval:
    eps = np.finfo(np.float32).eps
    p = np.clip(again, eps, 1 - eps)
    values["clipped_squared_error"] = (x - np.clip(again, 0, 1)) ** 2
    values["cross_entropy"] = -x * np.log(p) - (1 - x) * np.log1p(-p)
  return {name: float(np.nansum(value)) for name, value in values.items()}
