"""Tests of the metrics, against scikit-learn, NumPy and closed forms."""

import dataclasses
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from random_model import DIGITS, LABELS, X, random_model
from scipy import special
from sklearn import metrics
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier, NearestNeighbors
from sklearn.preprocessing import StandardScaler

from ae_jax import pca
from ae_jax.likelihoods import LIKELIHOODS
from ae_jax.metrics import (
  features,
  neighbors,
  noise,
  reconstruction,
)
from ae_jax.metrics.batching import map_batches
from ae_jax.metrics.codes import compare_with_classes
from ae_jax.metrics.columns import GROUPS
from ae_jax.metrics.eval_data import eval_data
from ae_jax.metrics.registry import (
  available_groups,
  metric_groups,
  more_is_better,
)
from ae_jax.networks import Spec, autoencoder
from ae_jax.types import UsageError


def test_map_batches_is_the_function_of_all():
  data = {"a": np.arange(20.0).reshape(10, 2), "b": np.arange(10)}

  def function(block):
    return jnp.sum(block["a"], axis=1), block["b"] * 2

  for size in (1, 3, 5, 10, 64):
    totals, doubled = map_batches(function, data, size)
    np.testing.assert_array_equal(totals, data["a"].sum(1))
    np.testing.assert_array_equal(doubled, data["b"] * 2)


@pytest.mark.parametrize("likelihood", LIKELIHOODS)
def test_reconstruction_errors(likelihood):
  _, model, params = random_model(likelihood=likelihood)
  x = X[:100].astype(np.float64)
  mean = np.asarray(reconstruction.reconstruct(model, params, X[:100]))
  error = np.mean(reconstruction.squared_errors(model, params, X[:100]))
  others = jax.tree.map(
    np.mean, reconstruction.unit_interval_errors(model, params, X[:100])
  )
  # float32 sums of 64 terms, averaged over 100.
  rtol = 1e-5
  np.testing.assert_allclose(error, np.mean(np.sum((x - mean) ** 2, 1)), rtol)
  clipped = np.clip(mean, 0, 1)
  if likelihood in ("gaussian", "sigmoid_gaussian", "bernoulli"):
    assert (clipped != mean).any() == (likelihood == "gaussian")
  np.testing.assert_allclose(
    others["clipped_squared_error"],
    np.mean(np.sum((x - clipped) ** 2, 1)),
    rtol,
  )
  eps = np.finfo(np.float32).eps
  p = np.clip(mean.astype(np.float64), eps, 1 - eps)
  np.testing.assert_allclose(
    others["cross_entropy"],
    -np.mean(np.sum(x * np.log(p) + (1 - x) * np.log(1 - p), 1)),
    rtol,
  )


def codes_of(kind):
  """Codes that are easy, hard, and with a dead unit."""
  rng = np.random.default_rng(1)
  fitted = pca.fit(X[:600])
  return {
    "pixels": X,
    "pca": pca.transform(fitted, X, 10).astype(np.float32),
    "noise": rng.normal(size=(len(X), 6)).astype(np.float32),
    "dead": np.pad(
      1e3 + X @ rng.normal(size=(64, 4)).astype(np.float32), [(0, 0), (0, 2)]
    ),
  }[kind]


@pytest.mark.parametrize("num_classes", [2, 10])
@pytest.mark.parametrize("kind", ["pixels", "pca", "noise", "dead"])
def test_the_linear_probe_is_scikit_learns_logistic_regression(
  kind, num_classes
):
  codes, classes = codes_of(kind), LABELS % num_classes
  train, test = codes[:200], codes[1000:]  # few, so that the penalty counts
  scaler = StandardScaler().fit(train)
  reference = LogisticRegression(max_iter=1000, tol=1e-6)
  reference.fit(scaler.transform(train), classes[:200])
  decision = reference.decision_function(scaler.transform(test))
  expected = special.log_softmax(
    decision if num_classes > 2 else np.stack([0 * decision, decision], 1), 1
  )
  logits = jax.jit(features.linear_probe, static_argnums=3)(
    train, classes[:200], test, num_classes
  )
  # Ours stops at a gradient of 1e-4 (of the mean over 200 examples): where the
  # curvature is that of the penalty alone, 1/200, a weight is off by 0.02.
  # Half or twice the penalty would change logits by a fifth and more.
  np.testing.assert_allclose(
    special.log_softmax(np.asarray(logits), 1), expected, atol=0.1, rtol=0.05
  )
  accuracy = features.linear_probe_accuracy(
    train, classes[:200], test, classes[1000:], num_classes
  )
  score = reference.score(scaler.transform(test), classes[1000:])
  assert abs(float(accuracy) - score) <= 0.003


def test_the_silhouette_is_scikit_learns():
  for codes, classes in (
    (X[:300, :20], LABELS[:300]),
    (X[:50], np.arange(50) // 3),  # a last class of two
    (X[:40], np.where(np.arange(40) == 7, 1, 0)),  # a class of one
    (np.zeros((9, 2), np.float32), np.arange(9) % 2),  # all in one place
  ):
    num_classes = 1 + classes.max()
    actual = jax.jit(features.silhouettes, static_argnums=2)(
      codes, classes, num_classes
    )
    # float32, 1e-7 a distance.
    np.testing.assert_allclose(
      actual, metrics.silhouette_samples(codes, classes), atol=1e-6
    )
  far = np.concatenate([np.zeros((5, 2)), np.ones((5, 2)) * 100])
  far += np.random.default_rng(0).normal(size=far.shape) * 0.1
  parted = features.silhouettes(
    jnp.asarray(far, jnp.float32), np.arange(10) // 5, 2
  )
  assert np.min(parted) > 0.99


@pytest.fixture(scope="module")
def grid_points():
  """Whole-numbered codes: distances are exact in float32, without ties."""
  rng = np.random.default_rng(2)
  gallery = rng.integers(-800, 800, (700, 6)).astype(np.float32)
  queries = rng.integers(-800, 800, (130, 6)).astype(np.float32)
  return gallery, queries, rng.integers(0, 4, 700), rng.integers(0, 4, 130)


def test_neighbors_are_scikit_learns(grid_points, monkeypatch):
  gallery, queries, classes, query_classes = grid_points
  # Eleven queries at a time: 130 do not divide.
  monkeypatch.setattr(neighbors, "_MAX_DISTANCES", 11 * 700)
  nearest = jax.jit(neighbors.nearest, static_argnums=2)
  indices = nearest(queries, gallery, 100)
  search = NearestNeighbors(n_neighbors=101, algorithm="brute").fit(gallery)
  distances, expected = search.kneighbors(queries)
  assert np.all(np.diff(distances) > 0)  # no ties
  np.testing.assert_array_equal(indices, expected[:, :100])

  near = classes[expected[:, :100]]
  relevant = near == query_classes[:, None]
  for k in (1, 10, 100):
    np.testing.assert_allclose(
      neighbors.precision_at(jnp.asarray(relevant), k),
      relevant[:, :k].mean(1),
      rtol=1e-6,
    )
  reference = KNeighborsClassifier(5, algorithm="brute").fit(gallery, classes)
  np.testing.assert_array_equal(
    neighbors.vote(jnp.asarray(near[:, :5]), 4), reference.predict(queries)
  )


def test_distances_hold_where_clusters_lie_far_apart():
  """Squares of 1e6 leave a float32 no digits of a distance of 1."""
  rng = np.random.default_rng(0)
  sides = rng.integers(0, 2, 300)
  codes = np.where(sides, 1e3, -1e3)[:, None] + rng.normal(size=(300, 4))
  codes = codes.astype(np.float32)
  # Of classes within a cluster: not told apart by the cluster alone.
  classes = 2 * sides + (codes[:, 0] > np.where(sides, 1e3, -1e3))
  exact = codes.astype(np.float64)
  search = NearestNeighbors(n_neighbors=10, algorithm="brute").fit(exact)
  expected = search.kneighbors(exact[:100])[1]
  found = neighbors.nearest(jnp.asarray(codes[:100]), jnp.asarray(codes), 10)
  np.testing.assert_array_equal(found, expected)
  np.testing.assert_allclose(
    features.silhouettes(jnp.asarray(codes), classes, 4),
    metrics.silhouette_samples(exact, classes),
    atol=1e-6,
  )


def test_average_precision():
  rng = np.random.default_rng(0)
  relevant = rng.random((40, 20)) < 0.3
  relevant[0] = False
  relevant[1] = True
  total = relevant.sum(1) + rng.integers(0, 3, 40)
  total[1] = 500  # more than the list can hold
  expected = []
  for row, number in zip(relevant, total, strict=True):
    precisions = [row[: i + 1].mean() for i in range(20) if row[i]]
    expected.append(sum(precisions) / max(min(20, number), 1))
  assert expected[0] == 0
  assert expected[1] == 1
  np.testing.assert_allclose(
    neighbors.average_precision(jnp.asarray(relevant), total),
    expected,
    rtol=1e-6,
  )
  # With all relevant ones in the list it is scikit-learn's.
  ranked = relevant[relevant.any(axis=1)]
  reference = [
    metrics.average_precision_score(row, -np.arange(20)) for row in ranked
  ]
  np.testing.assert_allclose(
    neighbors.average_precision(jnp.asarray(ranked), ranked.sum(1)),
    reference,
    rtol=1e-6,
  )


def identity():
  spec = Spec((64,), latent_size=64, widths=())
  model = autoencoder(spec)
  layer = {"kernel": np.eye(64), "bias": np.zeros(64)}
  return model, {"encoder": {"code": layer}, "decoder": {"latent": layer}}


@pytest.mark.parametrize(
  ("corruption", "expected"),
  [
    # ||x_noisy - x||^2 in expectation.
    ("gaussian", lambda x, p: 64 * p),
    ("masking", lambda x, p: p * np.sum(x**2, 1)),
    (
      "salt_and_pepper",
      lambda x, p: p / 2 * np.sum(x**2 + (1 - x) ** 2, 1),
    ),
  ],
)
def test_the_identity_keeps_the_noise(corruption, expected):
  model, params = identity()
  levels = (0.0, 0.1, 0.5)
  of = jax.jit(
    lambda seen: reconstruction.squared_errors(model, params, X, seen=seen)
  )
  errors = [
    np.mean(of(noise.corrupted(jax.random.key(1), X, corruption, level)))
    for level in levels
  ]
  assert errors[0] == 0
  for error, level in zip(errors[1:], levels[1:], strict=True):
    # 1797 draws of a sum of 64 terms; its deviation is below 0.5 of its mean:
    # 4 standard errors of the mean are below 5% of it.
    np.testing.assert_allclose(error, np.mean(expected(X, level)), rtol=0.05)


def test_directions():
  for name, better in {
    "test_squared_error": "lower",
    "test_probe_accuracy": "higher",
    "validation_silhouette": "higher",
    "test_precision_at_10": "higher",
    "test_mean_average_precision": "higher",
    "validation_squared_error_masking_0.5": "lower",
    "test_nll_nats": "lower",
    "pca_validation_knn_accuracy": "higher",
    "a_term_of_a_loss": "lower",
  }.items():
    assert more_is_better(name) == (better == "higher"), name
  for name in (
    "test_active_units",
    "test_kl_nats",
    "test_mutual_information_nats",
    "validation_marginal_kl_nats",
    "test_code_mean",
  ):
    with pytest.raises(UsageError, match="neither more nor less"):
      more_is_better(name)


def test_metric_groups():
  assert metric_groups(["noise"]) == ("reconstruction", "noise")
  assert metric_groups(GROUPS) == tuple(GROUPS)
  with pytest.raises(UsageError, match="unknown metrics 'sound'; allowed: rec"):
    metric_groups(["sound"])


def test_rate_needs_its_coder(monkeypatch):
  assert available_groups() == tuple(GROUPS)
  monkeypatch.setitem(sys.modules, "constriction", None)
  assert {*available_groups()} == {*GROUPS} - {"rate"}
  with pytest.raises(UsageError, match="constriction is not installed"):
    metric_groups(["rate"])


def test_codes_that_are_padded_compare_as_they_are():
  """To the units of other networks, and to more trials where there are few."""
  rng = np.random.default_rng(0)
  data = eval_data(DIGITS)
  z = rng.normal(size=(2, len(data.train) + len(data.held_out), 5))
  classes = np.concatenate([data.train_classes, data.held_out_classes])
  z = (z + classes[:, None] / 5).astype(np.float32)
  parts = z[:, : len(data.train)], z[:, len(data.train) :]
  for compare in (features.compare, neighbors.compare):
    plain, padded = (
      compare_with_classes(
        compare, *parts, dataclasses.replace(data, code_size=size)
      )
      for size in (0, 12)
    )
    assert plain.keys() == padded.keys()
    for name, value in plain.items():
      assert padded[name].shape == (2,)
      # Sums in another order; a share may not change.
      rtol = 1e-5 if "silhouette" in name else 1e-7
      np.testing.assert_allclose(padded[name], value, rtol, err_msg=name)
