"""Data whose entries may be missing: losses, models, metrics, baselines."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import export
from sklearn.datasets import load_digits
from small_sweeps import SOLO

import ae_jax
from ae_jax import (
  OBJECTIVES,
  Spec,
  UsageError,
  autoencoder,
  grid,
  iterative_pca,
  pca,
  trainer,
)
from ae_jax.data import from_arrays, load
from ae_jax.declarations import of_objective
from ae_jax.likelihoods import LIKELIHOODS

COMPLETE = (load_digits().data / 16).astype(np.float32)
LABELS = load_digits().target
X = np.where(
  np.random.default_rng(0).random(COMPLETE.shape) < 0.3, np.nan, COMPLETE
).astype(np.float32)
POINTS = [
  {"objective": name, "latent_size": 8, "num_epochs": 60, "learning_rate": 3e-3}
  for name in ("autoencoder", "vae")
]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
  folder = tmp_path_factory.mktemp("missing") / "run"
  return ae_jax.run_sweep(
    POINTS,
    X,
    labels=LABELS,
    missing=True,
    metrics=("imputation", "likelihood", "noise"),
    folder=folder,
    progress=False,
  )


COUNTS = ("poisson", "negative_binomial", "zero_inflated_negative_binomial")


@pytest.mark.parametrize("name", [*LIKELIHOODS])
def test_only_observed_entries_count_in_a_loss(name):
  options = (("library_size", False),) if name in COUNTS else ()
  spec = Spec(
    (6,), 2, code="gaussian", likelihood=name, options=options, missing=True
  )
  likelihood = spec.likelihood_of({})
  if name in ("multinomial", "categorical"):
    assert not likelihood.independent
    return
  assert likelihood.independent
  model = autoencoder(spec)
  params = model.init(jax.random.key(0))
  x = jnp.asarray([[0, 1, np.nan, 1, np.nan, 0], [1, 0, 0, np.nan, 1, 1.0]])
  decoded = model.decode(params, jnp.ones((2, 2)))
  decoded = decoded + jax.random.normal(jax.random.key(1), decoded.shape)
  nll, grad = jax.value_and_grad(lambda d: model.nll(x, d).sum())(decoded)
  observed = ~np.isnan(x)
  assert np.all(np.isfinite(grad))
  assert np.all(np.asarray(grad)[~observed] == 0)
  assert np.all(np.any(np.asarray(grad)[observed].reshape(9, -1) != 0, axis=1))
  plain = 0.0
  for i, j in np.argwhere(observed):  # the complete likelihood, entry by entry
    whole = jnp.where(jnp.isnan(x), 0.0, x)
    complete = Spec((6,), 2, likelihood=name, options=options).likelihood_of({})
    plain += float(complete.per_feature(whole, decoded)[i, j])
  np.testing.assert_allclose(nll, plain, rtol=1e-5)  # sums in float32


HEAVY = ("factor_vae", "iwae", "beta_tcvae", "gvae", "ada_gvae")


@pytest.mark.parametrize(
  "name",
  [
    pytest.param(n, marks=[pytest.mark.slow] if n in HEAVY else [])
    for n in OBJECTIVES
  ],
)
def test_an_objective_has_a_finite_loss_and_gradient(name):
  point = {"objective": name, "latent_size": 4, "missing": True}
  (trial,) = grid.resolve([point])
  one = trainer(
    trial.objective, trial.spec((64,), 4), num_epochs=1, batch_size=16
  )
  hyper = {k: jnp.float32(v) for k, v in trial.hyper.items()}
  hyper["latent_size"] = 4
  if name == "layerwise":
    with pytest.raises(UsageError, match="without missing entries"):
      one.loss({}, jax.random.key(0), X[:16], hyper)
    return
  x, batch = X[:16], of_objective(trial.functions["objective"]).batch
  if batch == "pairs":
    x = X[:32].reshape(16, 2, 64)
  if batch == "labels":
    x = ae_jax.types.Labeled(x, jnp.asarray(LABELS[:16]))
  state = one.init(jax.random.key(0), hyper)
  state, terms = jax.jit(one.step)(state, x, hyper)
  assert state.diverged_at == -1  # loss, gradient and state are finite
  assert all(np.isfinite(v) for v in terms.values()), terms


@pytest.mark.parametrize(
  "corruption", ["gaussian", "masking", "salt_and_pepper"]
)
def test_noise_does_not_make_entries(corruption):
  seen = []
  model = autoencoder(Spec((64,), 4, missing=True))
  params = model.init(jax.random.key(0))

  def encode(params, x):
    seen.append(x)
    return model.encode(params, x)

  spied = model._replace(encode=encode)
  OBJECTIVES["denoising"](
    spied, params, jax.random.key(1), X[:9], noise=0.5, corruption=corruption
  )
  np.testing.assert_array_equal(np.isnan(seen[0]), np.isnan(X[:9]))


def test_a_mask_is_beside_the_input_and_complete_models_are_as_they_were():
  shapes = {
    (64,): {},
    (8, 8, 1): {"network": "conv", "widths": (4,)},
    (8, 8): {"network": "conv", "widths": (4,)},
  }
  for features, options in shapes.items():
    for missing in (False, True):
      spec = Spec(features, 3, missing=missing, **options)
      kernel = autoencoder(spec).init(jax.random.key(0))["encoder"]["hidden_0"]
      size = 64 if features == (64,) else 1
      assert kernel["kernel"].shape[-2] == size * (1 + missing)
  model = autoencoder(Spec((64,), 3, missing=True))
  params = model.init(jax.random.key(0))
  zero = model.encode(params, jnp.zeros(64))
  assert not np.allclose(zero, model.encode(params, jnp.full(64, jnp.nan)))
  with pytest.raises(UsageError, match="tied"):
    autoencoder(Spec((64,), 3, options=(("tied", True),), missing=True))


def test_lanes_equal_solo_runs():
  points = grid.product(
    latent_size=(2, 5),
    num_epochs=[2],
    objective=["vae"],
    seed=(0, 1),
    widths=[()],
  )
  x = from_arrays(X[:200], missing=True)
  results = ae_jax.run_sweep(points, x, metrics=(), progress=False)
  (trial,) = grid.resolve([{**points[0], "missing": True}])
  one = trainer(
    trial.objective, trial.spec((64,), 2), num_epochs=2, batch_size=128
  )
  train = jax.jit(one.train)
  for lane in results[:2]:  # of the size that is masked
    assert lane.row["latent_size"] == 2
    key = jax.random.key(lane.row["seed"])
    state, _ = train(key, trial.hyper | {"latent_size": 2}, x.train)
    jax.tree.map(
      lambda a, b: np.testing.assert_allclose(a, b, **SOLO),
      {k: lane.params[k] for k in ("encoder", "decoder")},
      {k: state.params[k] for k in ("encoder", "decoder")},
    )


def test_a_model_imputes_better_than_the_mean(run):
  for row in run.rows:
    for part in ("validation", "test"):
      for share in (0.1, 0.3, 0.5):
        name = f"{part}_imputation_error_{share}"
        assert row[name] < row[f"train_mean_{name}"], name
      # Of half of 70% of the entries 8 components are not well determined.
      name = f"{part}_imputation_error_0.1"
      assert 0 < row[f"pca_{name}"] < row[f"train_mean_{name}"]
  numbers = [v for r in run.rows for v in r.values() if isinstance(v, float)]
  assert np.all(np.isfinite(numbers))


def test_errors_are_of_observed_entries(run):
  trained = run[0]
  dataset = from_arrays(X, None, LABELS, missing=True)
  again = trained.reconstruct(dataset.test)
  assert np.all(np.isfinite(again))
  error = np.nansum((dataset.test - again) ** 2) / len(again)
  # The batches are others: float32.
  assert trained.row["test_squared_error"] == pytest.approx(error, rel=1e-5)


def test_a_model_is_loaded_and_exported(run, tmp_path):
  trained = run[0]
  codes = trained.encode(X[:50])
  for saved in (ae_jax.load(run.folder, objective="autoencoder"), None):
    if saved is None:
      trained.export(tmp_path / "exported")
      saved = ae_jax.load(tmp_path / "exported")
    assert saved.spec.missing
    np.testing.assert_array_equal(saved.encode(X[:50]), codes)
  stored = (tmp_path / "exported" / "encode.stablehlo").read_bytes()
  alone = export.deserialize(bytearray(stored)).call(X[:50])
  np.testing.assert_allclose(alone, codes, atol=1e-5)  # compiled anew
  readme = (tmp_path / "exported" / "README.md").read_text()
  assert "NaN is a missing entry" in readme
  again = ae_jax.evaluate(run.folder, ("reconstruction",), progress=False)
  assert [row["id"] for row in again.rows] == [row["id"] for row in run.rows]


def test_the_page_is_written(run):
  run.report()
  page = (run.folder / "report.html").read_text()
  assert "Reconstruction of entries that are hidden" in page


def test_iterative_pca_of_complete_data_is_pca():
  fitted, exact = iterative_pca.fit(COMPLETE, 5), pca.fit(COMPLETE)
  for one, other in zip(fitted, exact, strict=True):
    np.testing.assert_allclose(one, other, atol=1e-9)  # float64
  np.testing.assert_allclose(
    iterative_pca.codes(exact, COMPLETE, 5),
    pca.transform(exact, COMPLETE, 5),
    atol=1e-9,
  )


def test_iterative_pca_is_what_a_plain_loop_of_em_finds():
  rng = np.random.default_rng(1)
  x = rng.normal(size=(60, 2)) @ rng.normal(size=(2, 7))
  x += 0.1 * rng.normal(size=x.shape) + np.arange(7)
  observed = rng.random(x.shape) < 0.8
  observed[observed.sum(axis=1) < 5] = True  # each code is well determined
  fitted = iterative_pca.fit(
    np.where(observed, x, np.nan), 2, max_iterations=2000, tolerance=1e-9
  )
  w, mean = rng.normal(size=(7, 2)), np.zeros(7)
  for _ in range(500):  # alternating least squares of the observed entries
    z = np.stack(
      [
        np.linalg.lstsq(w[o], row[o] - mean[o], rcond=None)[0]
        for o, row in zip(observed, x, strict=True)
      ]
    )
    one = np.column_stack([z, np.ones(len(z))])
    for j, o in enumerate(observed.T):
      *w[j], mean[j] = np.linalg.lstsq(one[o], x[o, j], rcond=None)[0]
  again = iterative_pca.reconstruct(fitted, np.where(observed, x, np.nan), 2)
  # Both end within 1e-6 of the optimum, whose entries are of size 1 to 10.
  np.testing.assert_allclose(again, z @ w.T + mean, atol=1e-4)


def mistakes():
  vae = {"objective": "vae", "num_epochs": 1}
  return {
    "missing=True": lambda: from_arrays(X),
    "bytes hold no NaN": lambda: from_arrays(
      (16 * COMPLETE).astype(np.uint8), missing=True
    ),
    "infinite": lambda: from_arrays(np.where(X > 0.9, np.inf, X), missing=True),
    "feature 3 is missing": lambda: from_arrays(
      np.where(np.arange(64) == 3, np.nan, X), missing=True
    ),
    "missing or data.binarize": lambda: load(missing=True, binarize=True),
    "missing is what the data are": lambda: ae_jax.run_sweep(
      [{**vae, "missing": True}], COMPLETE
    ),
    "library_size=False": lambda: ae_jax.run_sweep(
      [{**vae, "likelihood": "poisson"}], np.rint(X), missing=True
    ),
    "take another": lambda: ae_jax.run_sweep(
      [{**vae, "likelihood": "multinomial"}], np.rint(X), missing=True
    ),
    "layerwise": lambda: ae_jax.run_sweep(
      [{"objective": "layerwise"}], X, missing=True
    ),
    "goes with an array": lambda: ae_jax.run_sweep(
      [vae], from_arrays(COMPLETE), missing=True
    ),
  }


@pytest.mark.parametrize("message", [*mistakes()])
def test_a_mistake_is_one_line(message):
  with pytest.raises(UsageError, match=message) as error:
    mistakes()[message]()
  assert "\n" not in str(error.value)


def test_standardized_data_is_by_observed_entries():
  dataset = from_arrays(5 * X + 2, standardize=True, missing=True)
  varies = np.nanstd(dataset.train, axis=0) > 0
  # Of float32 numbers: 1e-7 of the values, times a thousand rows.
  np.testing.assert_allclose(np.nanmean(dataset.train, axis=0), 0, atol=1e-4)
  np.testing.assert_allclose(
    np.nanstd(dataset.train, axis=0)[varies], 1, atol=1e-4
  )
