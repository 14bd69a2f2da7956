"""What is worth a line about a dataset before anything is trained on it."""

import numpy as np

from ae_jax.data.dataset import Dataset, to_float
from ae_jax.data.labels import no_classes

_UNLIKE = 10.0  # times the median deviation
_FAR = 3.0  # times all deviations
_ROWS = 10_000  # that are looked at


def remarks(dataset: Dataset, is_gaussian: bool) -> list[str]:
  """A line each, for what a user may not have meant.

  Args:
    dataset: to train on.
    is_gaussian: whether a likelihood allows any numbers, so that the data may
      be standardized.
  """
  found = [_about_labels(dataset), _about_scales(dataset, is_gaussian)]
  return [line for line in found if line]


def _about_labels(dataset: Dataset) -> str | None:
  train, test = dataset.train_labels, dataset.test_labels
  if train is None:
    return None
  without = [
    part
    for part in dataset.held_out
    if getattr(dataset, f"{part}_labels") is None
  ]
  if without or test is None:
    reason: str | None = f"the {' and the '.join(without)} set has none"
  else:
    reason = no_classes(train, test)
  if reason is None:
    return None
  return f"no metric compares codes with the labels as classes: {reason}"


def _about_scales(dataset: Dataset, is_gaussian: bool) -> str | None:
  """Of unlike features, or of features far from 0.

  A network starts at outputs near 0 of one scale for all features. Bytes are in
  [0, 1] anyway.
  """
  standardized = dataset.standardization is not None
  if standardized or dataset.bytes or dataset.binarize or not is_gaussian:
    return None
  step = -(-len(dataset.train) // _ROWS)
  x = to_float(dataset.train[::step]).reshape(len(dataset.train[::step]), -1)
  of_mean, of_std = np.mean, np.std
  if dataset.missing:
    x = x[:, ~np.isnan(x).all(axis=0)]
    of_mean, of_std = np.nanmean, np.nanstd
  mean, std = (
    np.asarray(f(x, axis=0, dtype=np.float64)) for f in (of_mean, of_std)
  )
  varying = std[std > 1e-6 * np.abs(mean)]  # others are off by a rounding
  if not varying.size:
    return None
  advice = "unless that is meant, give data.standardize=True (standardize=True)"
  unlike = varying.max() / np.median(varying)
  if unlike > _UNLIKE:
    return (
      f"the largest deviation of a feature is {unlike:.3g} times the median"
      f" one, and learning follows the largest: {advice}"
    )
  far = np.sqrt(np.sum(mean**2) / np.sum(varying**2))
  if far > _FAR:
    return (
      f"the data lie {far:.3g} times their deviation from 0, which has to be"
      f" learned first: {advice}"
    )
  return None
