"""Every column of a model against NumPy, SciPy and scikit-learn."""

from typing import Any, NamedTuple

import jax
import numpy as np
import pytest
from random_model import DIGITS, random_model
from scipy import special, stats
from sklearn import metrics
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier, NearestNeighbors
from sklearn.preprocessing import StandardScaler

from ae_jax.metrics.columns import HELD_OUT, METRICS, STEPS
from ae_jax.metrics.eval_data import eval_data
from ae_jax.metrics.evaluate import evaluate


class Measured(NamedTuple):
  """A model on a part of the data, and its columns, which checks take out."""

  code: str
  part: str
  model: Any
  params: Any
  dataset: Any
  columns: dict[str, float]

  @property
  def held_out(self):
    return getattr(self.dataset, self.part)

  @property
  def labels(self):
    return getattr(self.dataset, f"{self.part}_labels")

  def encode(self, x):
    z = self.model.encode(self.params, x)
    return np.asarray(z.mean if self.code == "gaussian" else z)

  def decode(self, z):
    decoded = self.model.decode(self.params, z.astype(np.float32))
    return np.asarray(self.model.mean(decoded), np.float64)

  def reconstruct(self, x):
    return self.decode(self.encode(x))


def error(x, x_tilde):
  return np.mean(np.sum((x - x_tilde) ** 2, axis=1))


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
  m = Measured(code, part, model, params, dataset, columns)
  expected = errors_of(m) | classes_of(m) | activity_of(m)
  for name, value in expected.items():
    # float32 against float64; of accuracies, an example on the border of 200.
    unit = METRICS[name if "train" in name else f"{part}_{name}"].unit
    near = 0.0051 if unit == "share" else 1e-4
    np.testing.assert_allclose(
      columns.pop(name), value, rtol=1e-3, atol=near, err_msg=name
    )
  check_noise(m)
  check_rate(m)
  if code == "gaussian":
    check_bounds(m)
  assert not columns


def errors_of(m):
  test = m.held_out.astype(np.float64)
  x_tilde, eps = m.reconstruct(m.held_out), np.finfo(np.float32).eps
  p = np.clip(x_tilde, eps, 1 - eps)
  train = m.dataset.train
  return {
    "train_squared_error": error(train, m.reconstruct(train)),
    "squared_error": error(test, x_tilde),
    "clipped_squared_error": error(test, np.clip(x_tilde, 0, 1)),
    "cross_entropy": -np.mean(
      np.sum(test * np.log(p) + (1 - test) * np.log(1 - p), axis=1)
    ),
  }


def classes_of(m):
  classes, labels = m.dataset.train_labels, m.labels
  z_train, z = m.encode(m.dataset.train), m.encode(m.held_out)
  scaler = StandardScaler().fit(z_train)
  probe = LogisticRegression(max_iter=1000)
  probe.fit(scaler.transform(z_train), classes)
  knn = KNeighborsClassifier(5, algorithm="brute").fit(z_train, classes)
  search = NearestNeighbors(n_neighbors=100, algorithm="brute").fit(z_train)
  relevant = classes[search.kneighbors(z)[1]] == labels[:, None]
  possible = [min(100, np.sum(classes == c)) for c in labels]
  precisions = np.cumsum(relevant, axis=1) / np.arange(1, 101) * relevant
  return {
    "probe_accuracy": probe.score(scaler.transform(z), labels),
    "silhouette": metrics.silhouette_score(z, labels),
    "knn_accuracy": knn.score(z, labels),
    "precision_at_1": relevant[:, :1].mean(),
    "precision_at_10": relevant[:, :10].mean(),
    "precision_at_100": relevant.mean(),
    "mean_average_precision": np.mean(precisions.sum(axis=1) / possible),
  }


def activity_of(m):
  z = m.encode(m.held_out)
  some = np.linspace(0, len(z) - 1, 128).astype(int)
  jacobians = jax.vmap(jax.jacfwd(lambda x: m.model.encode(m.params, x)))(
    m.held_out[some]
  )
  jacobians = jacobians.mean if m.code == "gaussian" else jacobians
  norm = np.mean(np.linalg.norm(jacobians, axis=(1, 2)))
  scaled = np.abs(z) / z.std(axis=0)
  ratio = scaled.sum(axis=1) / np.linalg.norm(scaled, axis=1)
  return {
    "code_mean": z.mean(),
    "active_share": np.mean(np.abs(z) > 1e-3 * z.std(axis=0)),
    "dead_units": np.sum(z.std(axis=0) < 1e-6),
    "hoyer_sparsity": np.mean(np.sqrt(5) - ratio) / (np.sqrt(5) - 1),
    "jacobian_norm": norm,
    "relative_jacobian_norm": norm / np.sqrt(z.var(axis=0).sum()),
  }


def check_noise(m):
  rng = np.random.default_rng(0)
  draws = np.repeat(m.held_out, 20, axis=0)
  uniform = rng.uniform(size=draws.shape)
  coin = rng.integers(0, 2, draws.shape)
  for level in (0.1, 0.3, 0.5):
    noisy = {
      "gaussian": draws + level**0.5 * rng.normal(size=draws.shape),
      "masking": np.where(uniform < level, 0, draws),
      "salt_and_pepper": np.where(uniform < level, coin, draws),
    }
    for corruption, x in noisy.items():
      # The column has one draw of noise for each of 200 examples: 3% or so.
      np.testing.assert_allclose(
        m.columns.pop(f"squared_error_{corruption}_{level}"),
        error(draws, m.reconstruct(x.astype(np.float32))),
        rtol=0.1,
        err_msg=corruption,
      )


def check_rate(m):
  test, z_train = m.held_out.astype(np.float64), m.encode(m.dataset.train)
  some = np.linspace(0, len(z_train) - 1, 128).astype(int)
  jacobian = jax.vmap(
    jax.jacfwd(lambda z: m.model.mean(m.model.decode(m.params, z)))
  )
  of_decoder = np.asarray(jacobian(z_train[some].astype(np.float32)), float)
  gram = np.mean(of_decoder.swapaxes(1, 2) @ of_decoder, axis=0)
  # An error by these axes is one of x~; then PCA of the codes in them.
  axes = np.linalg.cholesky(gram)
  mean = z_train.mean(axis=0)
  axes = axes @ np.linalg.svd((z_train - mean) @ axes)[2].T
  y_train, y = ((c - mean) @ axes for c in (z_train, m.encode(m.held_out)))
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
    rate = m.columns.pop(f"rate_at_bin_{step}")
    assert 0 < rate * test.size - bits + 16 < 80
    values = (read * step * scale) @ np.linalg.inv(axes) + mean
    np.testing.assert_allclose(
      m.columns.pop(f"squared_error_at_bin_{step}"),
      error(test, m.decode(values)),
      rtol=1e-3,
    )


def check_bounds(m):
  rng = np.random.default_rng(0)
  test = m.held_out.astype(np.float64)
  q = m.model.encode(m.params, m.held_out)
  mean, log_variance = (np.asarray(part, np.float64) for part in q)
  std = np.exp(0.5 * log_variance)
  kl = 0.5 * np.sum(mean**2 + std**2 - 1 - log_variance, axis=1)
  draw = mean + std * rng.normal(size=(64, *mean.shape))
  likelihoods = stats.norm.logpdf(test, m.decode(draw)).sum(axis=2)
  log_q = stats.norm.logpdf(draw, mean, std).sum(axis=2)
  weights = likelihoods + stats.norm.logpdf(draw).sum(axis=2) - log_q
  nll = np.log(64) - special.logsumexp(weights, axis=0)
  z_q = draw[:8, :, None]  # against each component
  of_mixture = stats.norm.logpdf(z_q, mean, std).sum(axis=3)
  log_mixture = special.logsumexp(of_mixture, axis=2) - np.log(len(mean))
  log_ratio = log_q[:8] - log_mixture
  # One draw of other noise for each of 200 examples, beside eight.
  near = 4 * log_ratio.std() * np.sqrt((1 + 1 / 8) / 200)
  information = m.columns.pop("mutual_information_nats")
  assert information == pytest.approx(log_ratio.mean(), abs=near)
  assert m.columns.pop("marginal_kl_nats") == pytest.approx(
    kl.mean() - information, rel=1e-3
  )
  assert m.columns.pop("active_units") == np.sum(mean.var(axis=0) > 0.01)
  for name, value in {
    "reconstruction": -likelihoods.mean(),
    "kl": kl.mean(),
    "negative_elbo": kl.mean() - likelihoods.mean(),
    "nll": nll.mean(),
  }.items():
    # 64 draws of other noise for each of 200 examples.
    kind = "" if name == "kl" else "_density"
    nats = m.columns.pop(f"{name}{kind}_nats")
    np.testing.assert_allclose(nats, value, rtol=0.02, err_msg=name)
