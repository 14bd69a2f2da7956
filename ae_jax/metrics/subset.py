"""What most metrics are measured on, where there are many examples."""

import dataclasses
from typing import Any

import jax
import numpy as np

from ae_jax.metrics.columns import MOST_HELD_OUT, MOST_TRAIN
from ae_jax.metrics.eval_data import EvalData


def subset(data: EvalData) -> EvalData:
  """At most so many examples of each part, drawn at random, in their order.

  The same ones for every trial and in every run. Data of no more are given as
  they are.

  Args:
    data: anomalies are kept as they are.
  """
  rng = np.random.default_rng(0)
  train = _some(rng, len(data.train), MOST_TRAIN)
  validation = _some(rng, data.num_validation, MOST_HELD_OUT)
  test = _some(rng, len(data.held_out) - data.num_validation, MOST_HELD_OUT)
  held_out = np.concatenate([validation, data.num_validation + test])
  if len(train) + len(held_out) == len(data.train) + len(data.held_out):
    return data

  def rows(x: Any, of: np.ndarray) -> Any:
    return jax.tree.map(lambda x: x[of], x)

  return dataclasses.replace(
    data,
    train=rows(data.train, train),
    train_classes=rows(data.train_classes, train),
    train_label=rows(data.train_label, train),
    factors=rows(data.factors, train),
    held_out=rows(data.held_out, held_out),
    held_out_classes=rows(data.held_out_classes, held_out),
    held_out_label=rows(data.held_out_label, held_out),
    num_validation=len(validation),
  )


def _some(rng: np.random.Generator, number: int, most: int) -> np.ndarray:
  return np.sort(rng.permutation(number)[:most])
