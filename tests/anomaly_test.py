"""Classes held out of training, told by a model: against scikit-learn."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from mistakes import check_fails
from random_model import DIGITS, LABELS, X, random_model
from sklearn import metrics
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest

import ae_jax
from ae_jax import data
from ae_jax.engine.input_pipeline import input_pipeline
from ae_jax.metrics import anomaly
from ae_jax.metrics.baselines import baselines
from ae_jax.metrics.eval_data import eval_data
from ae_jax.metrics.evaluate import evaluate
from ae_jax.run_folder.dataset import dataset_of

CLASSES = (3, 7)
PARTS = {"validation": slice(900, 1100), "test": slice(600, 900)}
DATASET = data.from_arrays(
  X[:600],
  X[600:900],
  LABELS[:600],
  LABELS[600:900],
  validation=X[900:1100],
  validation_labels=LABELS[900:1100],
  anomaly_classes=CLASSES,
)
TRUTH = {part: np.isin(LABELS[rows], CLASSES) for part, rows in PARTS.items()}


@pytest.mark.parametrize("decimals", [8, 1, 0])  # 0: mostly ties
def test_both_areas_are_scikit_learns(decimals):
  rng = np.random.default_rng(decimals)
  normal = np.round(rng.normal(size=150), decimals).astype(np.float32)
  anomalous = np.round(rng.normal(0.7, 1, size=40), decimals).astype("f")
  scores = np.concatenate([normal, anomalous])
  truth = np.arange(190) >= 150
  # Means of 40 float32.
  assert float(anomaly.auroc(normal, anomalous)) == pytest.approx(
    metrics.roc_auc_score(truth, scores), abs=1e-6
  )
  assert float(anomaly.average_precision(normal, anomalous)) == pytest.approx(
    metrics.average_precision_score(truth, scores), abs=1e-6
  )
  equal = jnp.ones(5)
  assert anomaly.auroc(equal, equal) == 0.5
  assert anomaly.average_precision(equal, equal) == 0.5


def test_a_broken_model_has_no_areas():
  seen = eval_data(DATASET)
  normal, anomalous = (np.ones(len(x)) for x in (seen.held_out, seen.anomalies))
  normal[0] = np.nan  # a validation example
  columns = anomaly.compare(seen, jnp.asarray(normal), jnp.asarray(anomalous))
  assert np.isnan(columns["validation_anomaly_auroc"])
  assert columns["test_anomaly_auroc"] == pytest.approx(0.5, abs=1e-6)


def test_held_out_classes_are_not_trained_on():
  assert not np.isin(DATASET.train_labels, CLASSES).any()
  assert len(DATASET.train) == np.sum(~np.isin(LABELS[:600], CLASSES))
  np.testing.assert_array_equal(DATASET.test_anomalies, TRUTH["test"])
  np.testing.assert_array_equal(DATASET.test, X[600:900])
  seen = eval_data(DATASET)
  for part, rows in PARTS.items():
    x, anomalous = X[rows], TRUTH[part]
    np.testing.assert_array_equal(getattr(seen, part), x[~anomalous])
    np.testing.assert_array_equal(
      seen.anomalies[seen.anomaly_parts[part]], x[anomalous]
    )
  assert seen.num_classes == 8  # other measures are of normal examples


def scores_of(score, suffix=""):
  """The columns, of a function of examples."""
  columns = {}
  for part, rows in PARTS.items():
    truth, found = TRUTH[part], np.asarray(score(X[rows]))
    columns |= {
      f"{part}_anomaly_auroc{suffix}": metrics.roc_auc_score(truth, found),
      f"{part}_anomaly_average_precision{suffix}": (
        metrics.average_precision_score(truth, found)
      ),
    }
  return columns


@pytest.mark.parametrize("code", ["tanh", "gaussian"])
def test_columns_are_those_of_errors_and_bounds(code):
  spec, model, params = random_model(code=code, activation="tanh")
  stacked = jax.tree.map(lambda p: p[None], params)
  columns = evaluate(spec, stacked, [5], eval_data(DATASET), ["anomaly"])

  def errors(x):
    z = model.encode(params, x)
    mean = z.mean if code == "gaussian" else z
    x_tilde = model.mean(model.decode(params, mean))
    return np.sum((x.astype(float) - np.asarray(x_tilde)) ** 2, axis=1)

  def negative_elbo(x):
    """By many draws of other noise."""
    mean, log_variance = (np.asarray(p) for p in model.encode(params, x))
    scale = np.exp(0.5 * log_variance)
    kl = 0.5 * np.sum(mean**2 + scale**2 - 1 - log_variance, axis=1)
    noise = np.random.default_rng(0).normal(size=(2000, *mean.shape))
    draws = (mean + scale * noise).astype(np.float32)
    decoded = np.asarray(model.mean(model.decode(params, draws)))
    return 0.5 * np.sum((x - decoded) ** 2, axis=2).mean(axis=0) + kl

  expected = scores_of(errors)
  if code == "gaussian":
    expected |= scores_of(negative_elbo, "_elbo")
  assert {*columns.columns} == {*expected}
  for name, value in expected.items():
    # float32: of equal ranks few. An ELBO of 64 draws is off by 2%, its
    # deviation over the examples is 30%: some neighbors in rank change places.
    near = 0.03 if name.endswith("elbo") else 1e-4
    np.testing.assert_allclose(columns.columns[name], value, atol=near)


def test_baselines_are_scikit_learns():
  columns = baselines(eval_data(DATASET), [4], ["anomaly"])[4]
  fitted = PCA(4).fit(DATASET.train)
  forest = IsolationForest(random_state=0).fit(DATASET.train)

  def errors(x):
    again = fitted.inverse_transform(fitted.transform(x))
    return np.sum((x - again) ** 2, axis=1)

  for of, score in (
    ("pca", errors),
    ("isolation_forest", lambda x: -forest.score_samples(x)),
  ):
    for name, value in scores_of(score).items():
      # Scores in float32: of equal ranks few.
      assert columns[f"{of}_{name}"] == pytest.approx(value, abs=1e-4)


def test_a_sweep_tells_and_keeps_them(tmp_path):
  results = ae_jax.run_sweep(
    [{"latent_size": 4, "num_epochs": 1, "widths": (8,)}],
    X[:200],
    labels=LABELS[:200],
    anomaly_classes=[3],
    metrics=["anomaly"],
    folder=tmp_path,
    progress=False,
  )
  for of in ("", "pca_", "isolation_forest_"):
    for part in ("validation", "test"):
      assert 0 <= results.rows[0][f"{of}{part}_anomaly_auroc"] <= 1
  assert results.best("test_anomaly_auroc").row["latent_size"] == 4
  kept = dataset_of(tmp_path)
  assert kept.test_anomalies.any()
  assert not np.isin(kept.train_labels, 3).any()


def test_without_held_out_classes_nothing_is_made_up():
  spec, _, params = random_model()
  stacked = jax.tree.map(lambda p: p[None], params)
  plain = eval_data(DIGITS)
  assert evaluate(spec, stacked, [5], plain, ["anomaly"]).columns == {}
  assert anomaly.isolation_forest(plain) == {}


def test_classes_are_named_as_a_command_line_has_them(tmp_path):
  np.savez(tmp_path / "x.npz", data=X[:200], target=LABELS[:200].astype(float))
  dataset = data.load(path=tmp_path / "x.npz", anomaly_classes=["3"])
  assert not np.isin(dataset.train_labels, 3).any()
  again = data.load(**dataset.source)
  assert data.digest(again) == data.digest(dataset)
  words = np.where(LABELS[:200] == 3, "three", "other")
  dataset = data.from_arrays(
    X[:200], train_labels=words, anomaly_classes=["three"]
  )
  assert {*dataset.train_labels} == {"other"}
  # A class that only the test set has.
  normal = LABELS[:600] != 3
  dataset = data.from_arrays(
    X[:600][normal],
    X[600:],
    LABELS[:600][normal],
    LABELS[600:],
    anomaly_classes=[3],
  )
  assert len(dataset.train) == round(0.9 * normal.sum())
  assert "validation" not in eval_data(dataset).anomaly_parts
  np.testing.assert_array_equal(dataset.test_anomalies, LABELS[600:] == 3)


@pytest.mark.parametrize(
  ("match", "given"),
  [
    ("needs labels", {}),
    (
      "holds '11', which no label is: they are 0, 1, ",
      {"train_labels": LABELS},
    ),
    (
      "of anomaly_classes 1, 0 there must be test examples, and others",
      {"train_labels": LABELS % 2},
    ),
  ],
)
def test_mistakes_are_one_line(match, given):
  classes = [1, 0] if "1, 0" in match else [11]
  check_fails(match, data.from_arrays, X, anomaly_classes=classes, **given)


def test_a_stream_or_a_dataset_is_told(tmp_path):
  np.save(tmp_path / "x.npy", X)
  check_fails(
    "needs data in memory",
    data.load,
    path=tmp_path / "x.npy",
    stream=True,
    anomaly_classes=[1],
  )
  check_fails(
    "goes with an array", data.as_dataset, DATASET, anomaly_classes=[1]
  )


def test_epochs_are_judged_by_normal_examples():
  """`keep_best` must not choose by the classes that are to be told apart."""
  pipeline = input_pipeline(DATASET, jnp.asarray(DATASET.train))
  normal = ~TRUTH["validation"]
  np.testing.assert_array_equal(pipeline.validation, X[900:1100][normal])
  labeled = pipeline.with_supervision("label").validation
  kept = [c for c in range(10) if c not in CLASSES]
  np.testing.assert_array_equal(
    np.array(kept)[labeled.label], LABELS[900:1100][normal]
  )
