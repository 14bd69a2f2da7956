"""Data on the device, with the classes and factors that metrics need."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from ae_jax.data import Dataset, binarized, to_float
from ae_jax.data.labels import no_classes
from ae_jax.types import Array


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class EvalData:
  """A train and a test set that metrics read.

  Attributes:
    train: `[n, *features]`, float32 or uint8.
    test: `[m, *features]`.
    train_classes: `[n]`, integers in [0, num_classes); None: no classes.
    test_classes: `[m]`, or None.
    factors: `[n, factors]`, which value of each factor a train example was
      made from; None: not known.
    num_values: of each factor; () where there are none.
    factor_names: of each.
    num_classes: 0 where there are none.
    unit_interval: whether all data are in [0, 1].
  """

  train: Array
  test: Array
  train_classes: Array | None
  test_classes: Array | None
  factors: Array | None
  num_values: tuple[int, ...] = dataclasses.field(metadata={"static": True})
  factor_names: tuple[str, ...] = dataclasses.field(metadata={"static": True})
  num_classes: int = dataclasses.field(metadata={"static": True})
  unit_interval: bool = dataclasses.field(metadata={"static": True})


def eval_data(dataset: Dataset) -> EvalData:
  """Puts a dataset on the device and reads its labels as classes.

  See `data.labels` for labels that are classes.
  """
  classes = _classes(dataset.train_labels, dataset.test_labels)
  parts = (dataset.train, dataset.test)
  train_classes, test_classes = classes or (None, None)
  factors, names = dataset.train_factors, dataset.factor_names
  if factors is not None:
    varies = factors.max(axis=0) > factors.min(axis=0)
    factors = factors[:, varies] if varies.sum() > 1 else None
    names = tuple(np.array(names)[varies].tolist())
  train = binarized(dataset.train, 0) if dataset.binarize else dataset.train
  return EvalData(
    train=jnp.asarray(train),
    test=jnp.asarray(dataset.test),
    train_classes=train_classes,
    test_classes=test_classes,
    factors=None if factors is None else jnp.asarray(factors),
    num_values=(
      () if factors is None else tuple(int(n) + 1 for n in factors.max(axis=0))
    ),
    factor_names=names,
    num_classes=0 if classes is None else 1 + int(max(map(np.max, classes))),
    unit_interval=all(
      to_float(x.min()) >= 0 and to_float(x.max()) <= 1 for x in parts
    ),
  )


def _classes(
  train: np.ndarray | None, test: np.ndarray | None
) -> tuple[Array, Array] | None:
  if train is None or test is None:
    return None
  if no_classes(train, test):
    return None
  labels = np.concatenate([train, test])
  classes = np.unique(labels, return_inverse=True)[1]
  return jnp.asarray(classes[: len(train)]), jnp.asarray(classes[len(train) :])
