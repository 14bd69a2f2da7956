"""The test examples that the page shows, and how they are drawn."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from ae_jax import iterative_pca, pca
from ae_jax.data import Dataset, to_float
from ae_jax.data.labels import are_classes
from ae_jax.data.supervision import class_numbers
from ae_jax.metrics.batching import evenly_spaced
from ae_jax.trained import Trained

_NUM_CODES = 1000  # test examples whose codes are drawn
_NUM_FITTED = 2000  # train examples of a PCA, where entries are missing
_NUM_EXAMPLES = 10  # of them that are shown


class ShownExamples(NamedTuple):
  """The part of a dataset that is shown.

  Attributes:
    x: test examples `[n, *features]`, in the units of the data.
    labels: `[n]`, or None.
    are_classes: whether the labels name classes.
    label: `[n]`, their numbers as a model that is given them has them; or None.
    shown: indices of the few to look at, one a class where there are classes.
    low: of `x`, which is drawn black.
    high: of `x`, which is drawn white.
    indices: of `x` in the test set.
    dataset: where they are from.
    baseline: the PCA of its train set; with missing entries that of two
      components.
  """

  x: np.ndarray
  labels: np.ndarray | None
  are_classes: bool
  label: np.ndarray | None
  shown: list[int]
  low: float
  high: float
  indices: np.ndarray
  dataset: Dataset
  baseline: pca.PCA


def select_examples(dataset: Dataset) -> ShownExamples:
  """Picks what to show of a dataset, and fits the PCA to its train set."""
  indices = _indices(dataset)
  x = raw_test_examples(dataset)
  label = test_label(dataset)
  labels = dataset.test_labels
  labels = None if labels is None else labels[indices]
  named = dataset.train_labels
  by_class = named is not None and are_classes(named)
  order = [*range(len(x))]
  if labels is not None and by_class:
    firsts = np.unique(labels, return_index=True)[1].tolist()
    order = [*firsts, *sorted({*order} - {*firsts})]
  low, high = float(np.nanmin(x)), float(np.nanmax(x))
  return ShownExamples(
    x=x,
    labels=labels,
    are_classes=by_class,
    label=label,
    shown=order[:_NUM_EXAMPLES],
    low=low,
    high=high if high > low else low + 1.0,
    indices=indices,
    dataset=dataset,
    baseline=_baseline(dataset),
  )


def _baseline(dataset: Dataset) -> pca.PCA:
  x = to_float(dataset.train).reshape(len(dataset.train), -1)
  if dataset.missing:
    return iterative_pca.fit(x[:_NUM_FITTED], 2)
  return pca.fit(x)


def raw_test_examples(dataset: Dataset) -> np.ndarray:
  """Test examples `[n, *features]`, in the units of the data."""
  return to_raw(dataset, dataset.test[_indices(dataset)])


def test_label(dataset: Dataset) -> np.ndarray | None:
  """The classes of the raw test examples, see `supervision.class_numbers`."""
  if dataset.train_labels is None or dataset.test_labels is None:
    return None
  return class_numbers(dataset, dataset.test_labels[_indices(dataset)])


def raw_held_out_examples(
  dataset: Dataset,
) -> tuple[np.ndarray, np.ndarray | None]:
  """Validation examples and their classes, or those of the test set.

  Returns:
    `[n, *features]` in the units of the data, and `[n]` or None.
  """
  if dataset.validation is not None:
    dataset = dataset._replace(
      test=dataset.validation, test_labels=dataset.validation_labels
    )
  return raw_test_examples(dataset), test_label(dataset)


def encode(
  trained: Trained, x: np.ndarray, label: np.ndarray | None
) -> np.ndarray:
  """Codes of examples, given their classes where the model takes them."""
  return _of_classes(trained, Trained.encode, x, label)


def decode(
  trained: Trained, z: np.ndarray, label: np.ndarray | None
) -> np.ndarray:
  """Decoded codes, given their classes where the model takes them."""
  return _of_classes(trained, Trained.decode, z, label)


def reconstruct(
  trained: Trained, x: np.ndarray, label: np.ndarray | None
) -> np.ndarray:
  """Reconstructions, given classes where the model takes them."""
  return _of_classes(trained, Trained.reconstruct, x, label)


def _of_classes(
  trained: Trained,
  function: Callable[[Trained, np.ndarray], np.ndarray],
  values: np.ndarray,
  label: np.ndarray | None,
) -> np.ndarray:
  if label is None or not trained.classes:
    return function(trained, values)
  parts, order = [], []
  for number in np.unique(label).tolist():
    known = number in trained.classes
    own = trained.condition(number) if known else trained
    rows = np.flatnonzero(label == number)
    parts.append(function(own, values[rows]))
    order.append(rows)
  return np.concatenate(parts)[np.argsort(np.concatenate(order))]


def _indices(dataset: Dataset) -> np.ndarray:
  """From all over the test set, which may be sorted by class."""
  return evenly_spaced(len(dataset.test), _NUM_CODES)


def as_images(x: np.ndarray, examples: ShownExamples) -> np.ndarray:
  """`[n, *features]` in the data's units -> `[n, h, w(, 3)]` in [0, 1]."""
  scaled = np.clip((x - examples.low) / (examples.high - examples.low), 0, 1)
  one_channel = examples.x.ndim == 4 and scaled.shape[-1] == 1
  return scaled[..., 0] if one_channel else scaled


def by_pca(examples: ShownExamples, latent_size: int) -> np.ndarray:
  """PCA's reconstructions of the shown examples, in the units of the data."""
  shown = examples.dataset.test[examples.indices[examples.shown]]
  flat = to_float(shown).reshape(len(shown), -1)
  dataset = examples.dataset
  if dataset.missing:
    some = dataset.train[:_NUM_FITTED]
    number = min(latent_size, len(examples.baseline.components))
    fitted = iterative_pca.fit(some.reshape(len(some), -1), number)
    x = iterative_pca.reconstruct(fitted, flat, number)
  else:
    z = pca.transform(examples.baseline, flat, latent_size)
    x = pca.inverse(examples.baseline, z)
  return to_raw(dataset, x.reshape(-1, *examples.x.shape[1:]))


def to_raw(dataset: Dataset, x: np.ndarray) -> np.ndarray:
  """Examples of a dataset in the units of the data, float32."""
  if dataset.standardization is not None:
    return dataset.standardization.undo(x)
  return to_float(x).astype(np.float32)
