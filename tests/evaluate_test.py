"""Whole metric groups, of padded trials, of broken ones, of PCA."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from random_model import DIGITS, LABELS, X, random_model
from sklearn.neighbors import KNeighborsClassifier

from ae_jax import pca
from ae_jax.data import from_arrays
from ae_jax.metrics.baselines import baselines
from ae_jax.metrics.columns import GROUPS, HELD_OUT, METRICS
from ae_jax.metrics.eval_data import eval_data
from ae_jax.metrics.evaluate import evaluate
from ae_jax.networks import Spec, autoencoder, unpad


@pytest.mark.parametrize(
  "code", [pytest.param("linear", marks=pytest.mark.slow), "gaussian"]
)
def test_padded_and_vmapped_metrics_are_those_of_the_true_network(code):
  """Nine trials: a full block, and one that is filled up."""
  sizes = [3, 12] * 4 + [5]
  spec = Spec((64,), 12, widths=(), code=code)
  keys = jax.random.split(jax.random.key(0), 9)
  params = jax.vmap(lambda k, s: autoencoder(spec, s).init(k))(
    keys, jnp.array(sizes)
  )
  data = eval_data(DIGITS)
  seen = []
  measured = evaluate(
    spec, params, sizes, data, on_measured=lambda *news: seen.append(news)
  )
  assert seen[0] == ("reconstruction", 8)
  assert seen[-1] == ("disentanglement", 1)
  assert {*measured.seconds} == {*GROUPS}
  for name, column in measured.columns.items():
    assert name in METRICS
    assert column.shape == (9,)
    assert np.all(np.isfinite(column)), name
  i = 8  # masked, in the block that is filled up
  own = unpad(jax.tree.map(lambda p, i=i: p[i], params), sizes[i])
  alone = evaluate(
    Spec((64,), sizes[i], widths=(), code=code),
    jax.tree.map(lambda p: p[None], own),
    [sizes[i]],
    data,
  )
  for name, column in measured.columns.items():
    # Rounding; an accuracy may have an example on the border (of 200).
    near = 0.0051 if METRICS[name].unit == "share" else 1e-5
    np.testing.assert_allclose(
      column[i], alone.columns[name][0], rtol=1e-4, atol=near, err_msg=name
    )
  for name, unit in measured.units.items():
    # Singular values are right to 3e-4 of the largest, here about 1.
    np.testing.assert_allclose(
      unit[i, : sizes[i]], alone.units[name][0], atol=1e-3, err_msg=name
    )
  assert ("test_kl_nats" in measured.columns) == (code == "gaussian")


@pytest.mark.diverges
def test_broken_codes_have_no_metrics():
  spec, _, params = random_model(code="gaussian")
  for factor in (np.nan, 1e25):
    params["encoder"]["mean"]["kernel"] = (
      params["encoder"]["mean"]["kernel"].at[0, 0].set(factor)
    )
    params["encoder"]["mean"]["bias"] = jnp.full(5, factor)
    stacked = jax.tree.map(lambda p: p[None], params)
    groups = ["features", "neighbors", "activity", "likelihood"]
    columns = evaluate(spec, stacked, [5], eval_data(DIGITS), groups).columns
    for name in (*GROUPS["features"], *GROUPS["neighbors"]):
      assert np.isnan(columns[name]), name
    for name in (
      "dead_units",
      "active_share",
      "active_units",
      "marginal_kl_nats",
    ):
      for part in HELD_OUT:
        assert np.isnan(columns[f"{part}_{name}"]), name


def test_matrix_products_are_of_the_highest_precision(monkeypatch):
  seen = []
  dot = jax.lax.dot_general

  def spy(*arguments, **options):
    seen.append(jax.config.jax_default_matmul_precision)
    return dot(*arguments, **options)

  spec, _, params = random_model(widths=(11,))  # traced by no other test
  stacked = jax.tree.map(lambda p: p[None], params)
  monkeypatch.setattr(jax.lax, "dot_general", spy)
  evaluate(spec, stacked, [5], eval_data(DIGITS), ["reconstruction"])
  assert seen
  assert {*seen} == {"highest"}


def test_without_classes_nothing_is_made_up():
  x = np.random.default_rng(0).uniform(size=(20, 4))
  (columns,) = baselines(eval_data(from_arrays(x)), [2], GROUPS).values()
  assert {*columns} == {
    f"pca_{name}"
    for metric_group in ("reconstruction", "rate")
    for name in GROUPS[metric_group]
  }


def test_baselines():
  data = eval_data(DIGITS)
  columns = baselines(data, [3, 90], GROUPS)
  fitted = pca.fit(X[:600])
  exact = pca.squared_errors(fitted, X[600:800])
  np.testing.assert_allclose(
    columns[3]["pca_test_squared_error"], exact[3], rtol=1e-5
  )
  assert columns[90]["pca_test_squared_error"] < 1e-12
  codes = pca.transform(fitted, X, 3)
  for prefix, z in (("pca", codes), ("pixels", X)):
    reference = KNeighborsClassifier(5, algorithm="brute")
    reference.fit(z[:600], LABELS[:600])
    expected = reference.score(z[600:800], LABELS[600:800])
    assert columns[3][f"{prefix}_test_knn_accuracy"] == pytest.approx(expected)
    assert f"{prefix}_validation_precision_at_100" in columns[3]
  assert {*columns[3]} <= {*METRICS}


def test_salt_and_pepper_needs_the_unit_interval():
  spec, _, params = random_model()
  stacked = jax.tree.map(lambda p: p[None], params)
  data = eval_data(from_arrays(X[:50] * 3 - 1))
  groups = ["reconstruction", "features", "noise"]
  columns = evaluate(spec, stacked, [5], data, groups).columns
  assert "test_squared_error_gaussian_0.1" in columns
  assert "test_squared_error_salt_and_pepper_0.1" not in columns
  assert "test_cross_entropy" not in columns
  assert "test_probe_accuracy" not in columns


LABEL_CASES = [
  (np.arange(20) % 2, True),
  (np.array(["a", "b"] * 10), True),
  ((np.arange(20) % 3).astype(float), True),
  (np.repeat(np.arange(50), 2).astype(float), False),  # of a regression
  (np.arange(20) % 2 == 0, True),
  (np.linspace(0, 1, 20), False),
  (np.full(20, np.nan), False),
  (np.zeros(20, int), False),
  (np.arange(1100), False),
  (None, False),
]


@pytest.mark.parametrize(("labels", "are_classes"), LABEL_CASES)
def test_labels_that_are_classes(labels, are_classes):
  x = np.random.default_rng(0).uniform(size=(20, 4))
  if labels is not None:
    x = np.resize(x, (len(labels), 4))
  data = eval_data(from_arrays(x, train_labels=labels))
  assert (data.num_classes > 1) == are_classes
  assert data.unit_interval
