"""Classes that are held out of training: the anomalies of the other parts."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ae_jax.types import UsageError


def find(
  labels: Mapping[str, np.ndarray | None], classes: Sequence[Any]
) -> dict[str, np.ndarray]:
  """Which examples are of the given classes.

  Args:
    labels: `[n]` of each part, "train" and "test" among them.
    classes: labels, or their texts as a command line has them.

  Returns:
    Booleans `[n]` for each part.

  Raises:
    UsageError: there are no labels, or not such ones; or nothing is left of a
      part, or no anomaly in the test set.
  """
  known = {name: y for name, y in labels.items() if y is not None}
  if len(known) < len(labels):
    raise UsageError("anomaly_classes needs labels, and this data has none")
  values = np.unique(np.concatenate([*known.values()])).tolist()
  texts = {_text(value): value for value in values}
  names = [*map(_text, classes)]
  if unknown := [name for name in names if name not in texts]:
    raise UsageError(
      f"anomaly_classes holds {unknown[0]!r}, which no label is: they are"
      f" {', '.join([*texts][:12])}{', ...' * (len(texts) > 12)}"
    )
  held_out = [texts[name] for name in names]
  found = {name: np.isin(y, held_out) for name, y in known.items()}
  if any(part.all() for part in found.values()) or not found["test"].any():
    raise UsageError(
      f"of anomaly_classes {', '.join(names)} there must be test examples, and"
      " others to train on and in each part"
    )
  return found


def _text(label: Any) -> str:
  """A label as a command line names it."""
  is_whole = isinstance(label, float) and label.is_integer()
  return str(int(label) if is_whole else label)
