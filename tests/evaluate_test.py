"""Whole metric groups: every column against NumPy and scikit-learn."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from random_model import DIGITS, LABELS, X, random_model
from scipy import special, stats
from sklearn import metrics
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier, NearestNeighbors
from sklearn.preprocessing import StandardScaler

from ae_jax import pca
from ae_jax.data import from_arrays
from ae_jax.metrics.baselines import baselines
from ae_jax.metrics.columns import GROUPS, HELD_OUT, METRICS, STEPS
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


@pytest.mark.parametrize("part", HELD_OUT)
@pytest.mark.parametrize("code", ["tanh", "gaussian"])
def test_every_column_in_numpy_and_scikit_learn(code, part):
  """What is measured of which part of the data, and by which formula."""
  # Darker examples: no metric of another part is within a tolerance.
  dataset = DIGITS._replace(
    validation=np.float32(0.4) * DIGITS.validation,
    test=np.float32(0.6) * DIGITS.test,
  )
  spec, model, params = random_model(code=code, activation="tanh")
  stacked = jax.tree.map(lambda p: p[None], params)
  columns = {
    name.removeprefix(f"{part}_"): float(column[0])
    for name, column in evaluate(
      spec, stacked, [5], eval_data(dataset)
    ).columns.items()
    if name.startswith(("train_", part))
  }
  held_out = getattr(dataset, part)
  test, labels = held_out.astype(np.float64), getattr(dataset, f"{part}_labels")

  def encode(x):
    z = model.encode(params, x)
    return np.asarray(z.mean if code == "gaussian" else z)

  def reconstruct(x):
    return np.asarray(model.mean(model.decode(params, encode(x))), np.float64)

  def error(x, x_tilde):
    return np.mean(np.sum((x - x_tilde) ** 2, axis=1))

  z_train, z = encode(dataset.train), encode(held_out)
  x_tilde, eps = reconstruct(held_out), np.finfo(np.float32).eps
  p = np.clip(x_tilde, eps, 1 - eps)
  scaler = StandardScaler().fit(z_train)
  probe = LogisticRegression(max_iter=1000).fit(
    scaler.transform(z_train), dataset.train_labels
  )
  knn = KNeighborsClassifier(5, algorithm="brute")
  knn.fit(z_train, dataset.train_labels)
  search = NearestNeighbors(n_neighbors=100, algorithm="brute").fit(z_train)
  found = dataset.train_labels[search.kneighbors(z)[1]]
  relevant = found == labels[:, None]
  ranks = np.arange(1, 101)
  possible = [min(100, np.sum(dataset.train_labels == c)) for c in labels]
  precisions = np.cumsum(relevant, axis=1) / ranks * relevant
  some = np.linspace(0, len(test) - 1, 128).astype(int)
  jacobians = jax.vmap(jax.jacfwd(lambda x: model.encode(params, x)))(
    held_out[some]
  )
  jacobians = jacobians.mean if code == "gaussian" else jacobians
  scaled = np.abs(z) / z.std(axis=0)
  ratio = scaled.sum(axis=1) / np.linalg.norm(scaled, axis=1)
  expected = {
    "train_squared_error": error(dataset.train, reconstruct(dataset.train)),
    "squared_error": error(test, x_tilde),
    "clipped_squared_error": error(test, np.clip(x_tilde, 0, 1)),
    "cross_entropy": -np.mean(
      np.sum(test * np.log(p) + (1 - test) * np.log(1 - p), axis=1)
    ),
    "probe_accuracy": probe.score(scaler.transform(z), labels),
    "silhouette": metrics.silhouette_score(z, labels),
    "knn_accuracy": knn.score(z, labels),
    "precision_at_1": relevant[:, :1].mean(),
    "precision_at_10": relevant[:, :10].mean(),
    "precision_at_100": relevant.mean(),
    "mean_average_precision": np.mean(precisions.sum(axis=1) / possible),
    "code_mean": z.mean(),
    "active_share": np.mean(np.abs(z) > 1e-3 * z.std(axis=0)),
    "dead_units": np.sum(z.std(axis=0) < 1e-6),
    "hoyer_sparsity": np.mean(np.sqrt(5) - ratio) / (np.sqrt(5) - 1),
    "jacobian_norm": np.mean(np.linalg.norm(jacobians, axis=(1, 2))),
    "relative_jacobian_norm": np.mean(np.linalg.norm(jacobians, axis=(1, 2)))
    / np.sqrt(z.var(axis=0).sum()),
  }
  for name, value in expected.items():
    # float32 against float64; of accuracies, an example on the border of 200.
    unit = METRICS[name if "train" in name else f"{part}_{name}"].unit
    near = 0.0051 if unit == "share" else 1e-4
    np.testing.assert_allclose(
      columns.pop(name), value, rtol=1e-3, atol=near, err_msg=name
    )

  rng = np.random.default_rng(0)
  draws = [np.repeat(test, 20, axis=0).astype(np.float32) for _ in range(3)]
  uniform = rng.uniform(size=draws[0].shape)
  coin = rng.integers(0, 2, draws[0].shape)
  for level in (0.1, 0.3, 0.5):
    noisy = {
      "gaussian": draws[0] + level**0.5 * rng.normal(size=draws[0].shape),
      "masking": np.where(uniform < level, 0, draws[0]),
      "salt_and_pepper": np.where(uniform < level, coin, draws[0]),
    }
    for corruption, x in noisy.items():
      # The column has one draw of noise for each of 200 examples: 3% or so.
      np.testing.assert_allclose(
        columns.pop(f"squared_error_{corruption}_{level}"),
        error(draws[0], reconstruct(x.astype(np.float32))),
        rtol=0.1,
        err_msg=corruption,
      )
  some = np.linspace(0, len(z_train) - 1, 128).astype(int)
  jacobian = jax.vmap(jax.jacfwd(lambda z: model.mean(model.decode(params, z))))
  of_decoder = np.asarray(jacobian(z_train[some].astype(np.float32)), float)
  gram = np.mean(of_decoder.swapaxes(1, 2) @ of_decoder, axis=0)
  # An error by these axes is one of x~; then PCA of the codes in them.
  axes = np.linalg.cholesky(gram)
  axes = axes @ np.linalg.svd((z_train - z_train.mean(axis=0)) @ axes)[2].T
  y_train, y = ((c - z_train.mean(axis=0)) @ axes for c in (z_train, z))
  scale = np.sqrt(np.mean(y_train.var(axis=0)))
  for step in STEPS:
    seen, read = (np.rint(c / (step * scale)) for c in (y_train, y))
    read = np.clip(read, seen.min(axis=0), seen.max(axis=0))
    bits = 0.0
    for unit, own in zip(seen.T, read.T, strict=True):
      levels = np.arange(unit.min(), unit.max() + 1)
      counts = np.sum(unit == levels[:, None], axis=1) + 0.5
      taken = counts[(own - unit.min()).astype(int)]
      bits -= np.sum(np.log2(taken / counts.sum()))
    # A range coder ends within two words; codes on an edge go either way.
    assert 0 < columns.pop(f"rate_at_bin_{step}") * test.size - bits + 16 < 80
    values = (read * step * scale) @ np.linalg.inv(axes) + z_train.mean(axis=0)
    values = values.astype(np.float32)
    decoded = np.asarray(model.mean(model.decode(params, values)), np.float64)
    np.testing.assert_allclose(
      columns.pop(f"squared_error_at_bin_{step}"),
      error(test, decoded),
      rtol=1e-3,
    )
  if code == "gaussian":
    q = model.encode(params, held_out)
    mean, log_variance = (np.asarray(part, np.float64) for part in q)
    kl = 0.5 * np.sum(mean**2 + np.exp(log_variance) - 1 - log_variance, axis=1)
    noise = rng.normal(size=(64, *mean.shape))
    draw = mean + np.exp(0.5 * log_variance) * noise
    decoded = np.asarray(
      model.mean(model.decode(params, draw.astype(np.float32)))
    )
    likelihoods = -0.5 * np.sum(
      (decoded - test) ** 2 + np.log(2 * np.pi), axis=2
    )
    weights = likelihoods + np.sum(
      stats.norm.logpdf(draw)
      - stats.norm.logpdf(draw, mean, np.exp(0.5 * log_variance)),
      axis=2,
    )
    nll = np.log(64) - special.logsumexp(weights, axis=0)
    z_q = draw[:8, :, None]  # against each component
    log_mixture = special.logsumexp(
      stats.norm.logpdf(z_q, mean, np.exp(0.5 * log_variance)).sum(axis=3),
      axis=2,
    ) - np.log(len(mean))
    log_ratio = (
      stats.norm.logpdf(draw[:8], mean, np.exp(0.5 * log_variance)).sum(axis=2)
      - log_mixture
    )
    # One draw of other noise for each of 200 examples, beside eight.
    near = 4 * log_ratio.std() * np.sqrt((1 + 1 / 8) / 200)
    information = columns.pop("mutual_information_nats")
    assert information == pytest.approx(log_ratio.mean(), abs=near)
    assert columns.pop("marginal_kl_nats") == pytest.approx(
      kl.mean() - information, rel=1e-3
    )
    assert columns.pop("active_units") == np.sum(z.var(axis=0) > 0.01)
    for name, value in {
      "reconstruction": -likelihoods.mean(),
      "kl": kl.mean(),
      "negative_elbo": kl.mean() - likelihoods.mean(),
      "nll": nll.mean(),
    }.items():
      # 64 draws of other noise for each of 200 examples.
      kind = "" if name == "kl" else "_density"
      nats = columns.pop(f"{name}{kind}_nats")
      np.testing.assert_allclose(nats, value, rtol=0.02, err_msg=name)
  assert not columns


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
