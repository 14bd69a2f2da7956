"""What some objectives need with an example: its label, or a partner."""

from typing import Any, NamedTuple

import numpy as np

from ae_jax.data.dataset import Dataset
from ae_jax.data.labels import are_classes
from ae_jax.types import Array, Labeled, UsageError

KINDS = ("one_factor", "class")
NUM_PARTNERS = 16  # of each example, from which a step draws one


class Pairs(NamedTuple):
  """Examples, each with some others that it may be paired with.

  Attributes:
    x: `[n, *features]`.
    partners: `[n, partners]`, rows of x.
  """

  x: Array | np.ndarray
  partners: Array | np.ndarray


def supervise(
  dataset: Dataset, x: Array | np.ndarray, kind: str, part: str = "train"
) -> Any:
  """A part of the data with the labels or partners that an objective needs.

  Args:
    dataset: held in memory.
    x: the examples of that part, perhaps on a device.
    kind: "label", or what the two of a pair share, see `partners`.
    part: "train" or "validation".

  Returns:
    `Labeled`, classes numbered in the order of the train set's labels; or
    `Pairs`.

  Raises:
    UsageError: the dataset lacks what is needed, or is streamed.
  """
  if dataset.stream is not None:
    raise UsageError("labels and pairs need data in memory: drop data.stream")
  labels = getattr(dataset, f"{part}_labels")
  factors = getattr(dataset, f"{part}_factors")
  if kind != "label":
    own = dataset._replace(train_labels=labels, train_factors=factors)
    return Pairs(x, partners(own, kind))
  if dataset.train_labels is None or labels is None:
    raise UsageError(
      "this objective needs labels, and this data has none: give labels=y"
      " or data.labels_path"
    )
  if not are_classes(dataset.train_labels):
    raise UsageError(
      "this objective needs classes, and these labels are targets of a"
      " regression: numbers that are not whole or occur less than three times"
      " on average; give words to make them classes"
    )
  numbers = class_numbers(dataset, labels)
  if (numbers < 0).any():
    raise UsageError(f"the {part} labels hold classes that are not trained on")
  return Labeled(x, numbers)


def class_numbers(dataset: Dataset, labels: np.ndarray) -> np.ndarray:
  """Numbers classes as the objectives that need labels do.

  Args:
    dataset: its train set has labels.
    labels: `[n]`, of some of its examples.

  Returns:
    `[n]`, int32: from 0 in the order of the train set's labels, -1 of a label
    that the train set does not have.
  """
  assert dataset.train_labels is not None
  known = np.unique(dataset.train_labels)
  number = np.minimum(np.searchsorted(known, labels), len(known) - 1)
  return np.where(known[number] == labels, number, -1).astype(np.int32)


def partners(dataset: Dataset, kind: str) -> np.ndarray:
  """Draws train examples that each train example may be paired with.

  Args:
    dataset: held in memory.
    kind: "one_factor": all factors of the two but one are equal, any of those
      in which there is a partner; "class": their labels are equal; or names of
      factors that are equal, such as "x+y".

  Returns:
    `[n, NUM_PARTNERS]`, the same at each call. An example is its partner itself
    where it has no other.

  Raises:
    UsageError: there is no such kind, the dataset does not know its factors
      or classes, or no two examples are alike.
  """
  names = dataset.factor_names
  if kind not in KINDS and not {*kind.split("+")} <= {*names}:
    allowed = ", ".join((*KINDS, *names))
    several = " or several, joined by +" if names else ""
    raise UsageError(f"pairs is {kind!r}; allowed: {allowed}{several}")
  if kind == "class":
    if dataset.train_labels is None:
      raise UsageError("pairs='class' needs labels, and this data has none")
    return _columns([_Others(dataset.train_labels)])
  factors = dataset.train_factors
  if factors is None or not np.ptp(factors, axis=0).any():
    raise UsageError(
      f"pairs={kind!r} needs data of known factors, such as shapes; pairs=class"
      " needs labels"
    )
  sizes = factors.max(axis=0) + 1
  at = np.arange(len(sizes))
  if kind != "one_factor":
    equal = np.isin(names, kind.split("+"))
    return _columns([_of_factors(factors * equal, sizes)])
  others = [_of_factors(factors * (at != k), sizes) for k in at[sizes > 1]]
  return _columns(others)


def _of_factors(factors: np.ndarray, sizes: np.ndarray) -> "_Others":
  return _Others(np.ravel_multi_index(tuple(factors.T), tuple(sizes)))


class _Others:
  """For each row the rows of equal values."""

  def __init__(self, values: np.ndarray):
    _, group, sizes = np.unique(values, return_inverse=True, return_counts=True)
    self._order = np.argsort(group, kind="stable")
    self._start = (np.cumsum(sizes) - sizes)[group]
    self._place = np.empty(len(group), int)
    self._place[self._order] = np.arange(len(group))
    self.counts = sizes[group] - 1

  def draw(self, rng: np.random.Generator) -> np.ndarray:
    """One of them, `[n]`; the row itself where there are none."""
    size = self.counts + 1
    away = rng.integers(1, np.maximum(size, 2))
    place = self._start + (self._place - self._start + away) % size
    return self._order[place]


def _columns(others: list[_Others]) -> np.ndarray:
  if not any(other.counts.any() for other in others):
    raise UsageError("no two examples of this data make such a pair")
  rng = np.random.default_rng(0)
  return np.stack([_column(others, rng) for _ in range(NUM_PARTNERS)], axis=1)


def _column(others: list[_Others], rng: np.random.Generator) -> np.ndarray:
  """A partner of each row, by any of the ways that it has one."""
  drawn = np.stack([other.draw(rng) for other in others])
  has = np.stack([other.counts > 0 for other in others])
  way = np.argmax(rng.random(has.shape) * has, axis=0)
  return drawn[way, np.arange(drawn.shape[1])].astype(np.int32)
