"""Whether a model tells examples of classes that it has never seen.

The score of an example is its reconstruction error, or -ELBO of a Gaussian
code: the larger, the more anomalous. No threshold is chosen.
"""

import jax
import jax.numpy as jnp
import numpy as np

from ae_jax.data import to_float
from ae_jax.metrics import likelihood
from ae_jax.metrics.columns import NUM_SAMPLES
from ae_jax.metrics.eval_data import EvalData
from ae_jax.metrics.over_trials import Columns, Units, over_trials
from ae_jax.metrics.reconstruction import squared_errors
from ae_jax.networks import Spec
from ae_jax.types import Array, Autoencoder, Params


def measure(
  spec: Spec, params: Params, latent_sizes: Array, data: EvalData
) -> tuple[Columns, Units]:
  """The metric group "anomaly", of data with held-out classes."""
  if data.anomalies is None:
    return {}, {}
  columns = _by_error(spec, params, latent_sizes, data)
  if spec.code == "gaussian":
    columns |= _by_elbo(spec, params, latent_sizes, data)
  return columns, {}


@over_trials
def _by_error(model: Autoencoder, params: Params, data: EvalData) -> Columns:
  assert data.anomalies is not None
  return compare(
    data,
    squared_errors(model, params, data.held_out, _unknown(data.held_out)),
    squared_errors(model, params, data.anomalies, _unknown(data.anomalies)),
  )


def _unknown(x: Array) -> Array:
  """No class is told: an anomaly has none that was trained on."""
  return jnp.full(len(x), -1)


@over_trials
def _by_elbo(model: Autoencoder, params: Params, data: EvalData) -> Columns:
  def scores(x: Array) -> Array:
    bounds, _ = likelihood.elbo_and_iwae(
      model, params, jax.random.key(0), x, NUM_SAMPLES, _unknown(x)
    )
    return bounds["negative_elbo"]

  assert data.anomalies is not None
  columns = compare(data, scores(data.held_out), scores(data.anomalies))
  return {f"{name}_elbo": value for name, value in columns.items()}


def compare(data: EvalData, normal: Array, anomalous: Array) -> Columns:
  """The columns of the scores of `data.held_out` and of `data.anomalies`."""
  columns: Columns = {}
  for part, rows in data.anomaly_parts.items():
    negative, positive = normal[data.parts[part]], anomalous[rows]
    finite = jnp.isfinite(jnp.sum(negative) + jnp.sum(positive))
    for name, function in (
      ("auroc", auroc),
      ("average_precision", average_precision),
    ):
      value = jnp.where(finite, function(negative, positive), jnp.nan)
      columns[f"{part}_anomaly_{name}"] = value
  return columns


def auroc(negative: Array, positive: Array) -> Array:
  """Area under the ROC curve: `P(s+ > s-) + P(s+ = s-) / 2`.

  Args:
    negative: scores s- `[n]`.
    positive: scores s+ `[m]`.

  Returns:
    A scalar in [0, 1]; 0.5 of scores that tell nothing.

  References:
    Hanley and McNeil, "The meaning and use of the area under a receiver
    operating characteristic (ROC) curve", 1982.
  """
  ordered = jnp.sort(negative)
  below = jnp.searchsorted(ordered, positive, side="left")
  not_above = jnp.searchsorted(ordered, positive, side="right")
  return jnp.mean((below + not_above) / 2) / len(negative)


def average_precision(negative: Array, positive: Array) -> Array:
  """Average precision, `sum_k (R_k - R_{k-1}) P_k` over all thresholds.

  That is the mean, over the positive examples, of the precision at a threshold
  equal to their score.

  Args:
    negative: scores `[n]`.
    positive: scores `[m]`.

  Returns:
    A scalar in (0, 1]; about m / (n + m) of scores that tell nothing.

  References:
    Davis and Goadrich, "The relationship between precision-recall and ROC
    curves", 2006.
  """

  def num_from(scores: Array) -> Array:
    """How many scores are at least that of each positive example."""
    return len(scores) - jnp.searchsorted(
      jnp.sort(scores), positive, side="left"
    )

  hits = num_from(positive)
  return jnp.mean(hits / (hits + num_from(negative)))


def isolation_forest(data: EvalData) -> Columns:
  """The columns of an isolation forest of 100 trees, fitted to the train set.

  References:
    Liu, Ting, Zhou, "Isolation forest", 2008; by scikit-learn.
  """
  if data.anomalies is None:
    return {}
  from sklearn.ensemble import IsolationForest  # here: it takes a second

  train, normal, anomalous = (
    np.asarray(to_float(part)).reshape(len(part), -1)
    for part in (data.train, data.held_out, data.anomalies)
  )
  forest = IsolationForest(random_state=0).fit(train)
  scores = (jnp.asarray(-forest.score_samples(x)) for x in (normal, anomalous))
  return compare(data, *scores)
