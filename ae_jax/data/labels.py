"""Labels: which of them name classes, and which are targets of a regression."""

import numpy as np

_MAX_CLASSES = 1000
_EXAMPLES_A_CLASS = 3  # of numbers, on average


def are_classes(labels: np.ndarray) -> bool:
  """Whether labels name classes.

  Words and booleans do. Numbers do where they are whole and each occurs three
  times on average; others are the targets of a regression.

  Args:
    labels: `[n]`, of the train set.
  """
  return _no_names(labels) is None


def no_classes(*parts: np.ndarray) -> str | None:
  """Why metrics cannot compare codes with these labels as classes.

  Args:
    *parts: labels of the train set, then those of each other part, `[n]` each.

  Returns:
    The reason; None where they can.
  """
  if reason := _no_names(parts[0]):
    return reason
  if not all(_are_whole(part) for part in parts):
    return "some are no whole numbers"
  if min(len(np.unique(part)) for part in parts) < 2:
    return "a part of the data is all of one class"
  if (number := len(np.unique(np.concatenate(parts)))) > _MAX_CLASSES:
    return f"{number:,} are more than {_MAX_CLASSES:,}"
  return None


def _no_names(labels: np.ndarray) -> str | None:
  if labels.dtype.kind in "bSU":
    return None
  if not _are_whole(labels):
    return "they are targets of a regression, being no whole numbers"
  distinct = len(np.unique(labels))
  if len(labels) < _EXAMPLES_A_CLASS * distinct:
    return (
      f"they are targets of a regression, {distinct:,} different numbers for"
      f" {len(labels):,} examples; as words they would name classes"
    )
  return None


def _are_whole(labels: np.ndarray) -> bool:
  kind = labels.dtype.kind
  is_whole = kind == "f" and bool(np.all(labels == np.floor(labels)))
  return kind in "biuSU" or is_whole
