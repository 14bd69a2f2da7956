"""Data on the device, with the classes and factors that metrics need."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ae_jax.data import Dataset, binarized, to_float
from ae_jax.data.labels import no_classes
from ae_jax.data.supervision import class_numbers
from ae_jax.types import Array


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class EvalData:
  """The data that metrics read.

  Attributes:
    train: `[n, *features]`, float32 or uint8.
    held_out: `[m, *features]`: the validation examples, then the test examples,
      both without anomalies.
    train_classes: `[n]`, integers in [0, num_classes); None: no classes.
    held_out_classes: `[m]`, or None.
    train_label: `[n]`, the class as an objective of labels sees it, see
      `supervision.class_numbers`; None: no labels.
    held_out_label: `[m]`, of the same classes: -1 of another, and where there
      are no labels.
    factors: `[n, factors]`, which value of each factor a train example was
      made from; None: not known.
    anomalies: `[k, *features]`, held-out examples of classes that nothing is
      trained on, in the same order; None: there are no such classes.
    num_validation: how many of `held_out` are validation examples.
    num_validation_anomalies: how many of `anomalies` are validation examples.
    num_values: of each factor; () where there are none.
    factor_names: of each.
    unordered_factors: the names of those whose values have no order.
    num_classes: 0 where there are none.
    unit_interval: whether all data are in [0, 1].
    missing: whether entries may be missing: those that are NaN.
    code_size: what codes are padded to where they are compared, so that those
      of all networks of a run share a program; 0: each has its own.
    dequantize: whether noise was added to bytes in training, see `Dataset`.
  """

  train: Array
  held_out: Array
  train_classes: Array | None
  held_out_classes: Array | None
  train_label: Array | None
  held_out_label: Array | None
  factors: Array | None
  anomalies: Array | None
  num_validation: int = dataclasses.field(metadata={"static": True})
  num_validation_anomalies: int = dataclasses.field(metadata={"static": True})
  num_values: tuple[int, ...] = dataclasses.field(metadata={"static": True})
  factor_names: tuple[str, ...] = dataclasses.field(metadata={"static": True})
  unordered_factors: tuple[str, ...] = dataclasses.field(
    metadata={"static": True}
  )
  num_classes: int = dataclasses.field(metadata={"static": True})
  unit_interval: bool = dataclasses.field(metadata={"static": True})
  missing: bool = dataclasses.field(metadata={"static": True}, default=False)
  code_size: int = dataclasses.field(metadata={"static": True}, default=0)
  dequantize: bool = dataclasses.field(metadata={"static": True}, default=False)

  @property
  def is_ordered(self) -> tuple[bool, ...]:
    """Of each factor, whether its values are numbers."""
    return tuple(k not in self.unordered_factors for k in self.factor_names)

  @property
  def parts(self) -> dict[str, slice]:
    """The rows of `held_out` that are of each part."""
    parts = {"test": slice(self.num_validation, len(self.held_out))}
    if self.num_validation:
      parts = {"validation": slice(0, self.num_validation)} | parts
    return parts

  @property
  def anomaly_parts(self) -> dict[str, slice]:
    """The rows of `anomalies` that are of each part that has some."""
    if self.anomalies is None:
      return {}
    first, number = self.num_validation_anomalies, len(self.anomalies)
    parts = {"validation": slice(first), "test": slice(first, number)}
    return {k: rows for k, rows in parts.items() if k != "validation" or first}

  @property
  def validation(self) -> Array:
    """The validation examples, perhaps none."""
    return self._validation_rows(self.held_out)

  @property
  def test(self) -> Array:
    """The test examples."""
    return self._test_rows(self.held_out)

  @property
  def validation_classes(self) -> Array | None:
    """Of the validation examples."""
    return self._validation_rows(self.held_out_classes)

  @property
  def test_classes(self) -> Array | None:
    """Of the test examples."""
    return self._test_rows(self.held_out_classes)

  @property
  def validation_label(self) -> Array | None:
    """Of the validation examples, as an objective of labels sees them."""
    return self._validation_rows(self.held_out_label)

  @property
  def test_label(self) -> Array | None:
    """Of the test examples."""
    return self._test_rows(self.held_out_label)

  def _validation_rows(self, y: Any) -> Any:
    return None if y is None else y[: self.num_validation]

  def _test_rows(self, y: Any) -> Any:
    return None if y is None else y[self.num_validation :]

  def means(self, values: Mapping[str, Array]) -> dict[str, Array]:
    """Means over the examples of each part.

    Args:
      values: name -> `[m, ...]`, of each example of `held_out`.

    Returns:
      `validation_NAME` and `test_NAME` -> `[...]`.
    """
    return {
      f"{part}_{name}": jnp.mean(value[rows], axis=0)
      for part, rows in self.parts.items()
      for name, value in values.items()
    }


def eval_data(dataset: Dataset, code_size: int = 0) -> EvalData:
  """Puts a dataset on the device and reads its labels as classes.

  See `data.labels` for labels that are classes.

  Args:
    dataset: the data.
    code_size: see `EvalData`.
  """
  held_out, labels, anomalies = _without_anomalies(dataset)
  classes = _classes([dataset.train_labels, *labels])
  factors, names = dataset.train_factors, dataset.factor_names
  if factors is not None:
    varies = factors.max(axis=0) > factors.min(axis=0)
    factors = factors[:, varies] if varies.sum() > 1 else None
    names = tuple(np.array(names)[varies].tolist())
  train = binarized(dataset.train, 0) if dataset.binarize else dataset.train
  parts = (dataset.train, *held_out.values())
  return EvalData(
    train=jnp.asarray(train),
    held_out=jnp.asarray(np.concatenate([*held_out.values()])),
    train_classes=None if classes is None else jnp.asarray(classes[0]),
    held_out_classes=(
      None if classes is None else jnp.asarray(np.concatenate(classes[1:]))
    ),
    train_label=_label(dataset, [dataset.train_labels], [dataset.train]),
    held_out_label=_label(dataset, labels, [*held_out.values()]),
    factors=None if factors is None else jnp.asarray(factors),
    anomalies=(
      jnp.asarray(np.concatenate([*anomalies.values()])) if anomalies else None
    ),
    num_validation=len(held_out.get("validation", ())),
    num_validation_anomalies=len(anomalies.get("validation", ())),
    num_values=(
      () if factors is None else tuple(int(n) + 1 for n in factors.max(axis=0))
    ),
    factor_names=names,
    unordered_factors=dataset.unordered_factors,
    num_classes=0 if classes is None else 1 + int(max(map(np.max, classes))),
    unit_interval=all(
      to_float(np.nanmin(x)) >= 0 and to_float(np.nanmax(x)) <= 1 for x in parts
    ),
    missing=dataset.missing,
    code_size=code_size,
    dequantize=dataset.dequantize,
  )


def _without_anomalies(
  dataset: Dataset,
) -> tuple[dict[str, np.ndarray], list[Any], dict[str, np.ndarray]]:
  """Normal examples and labels of the held-out parts, and their anomalies."""
  normal = dataset.without_anomalies()
  labels = [getattr(normal, f"{part}_labels") for part in normal.held_out]
  anomalies = {
    part: x[is_anomaly]
    for part, x in dataset.held_out.items()
    if (is_anomaly := getattr(dataset, f"{part}_anomalies")) is not None
  }
  return normal.held_out, labels, anomalies


def _label(
  dataset: Dataset, labels: list[Any], parts: list[np.ndarray]
) -> Array | None:
  """Classes as an objective of labels sees them, of the examples of parts."""
  if dataset.train_labels is None:
    return None
  numbers = [
    np.full(len(x), -1, np.int32) if y is None else class_numbers(dataset, y)
    for y, x in zip(labels, parts, strict=True)
  ]
  return jnp.asarray(np.concatenate(numbers))


def _classes(labels: list[np.ndarray | None]) -> list[np.ndarray] | None:
  """The classes of each part, numbered from 0; None where there are none."""
  parts = [part for part in labels if part is not None]
  if len(parts) < len(labels):
    return None
  if no_classes(parts[0], parts[-1]):
    return None
  classes = np.unique(np.concatenate(parts), return_inverse=True)[1]
  return np.split(classes, np.cumsum([*map(len, parts)])[:-1])
