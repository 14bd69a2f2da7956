"""Models of counts, shares, classes and mixed columns, from data to files."""

import functools

import jax
import numpy as np
import pytest
from scipy import special, stats
from small_sweeps import SHORT

import ae_jax
from ae_jax import grid
from ae_jax.engine.group import groups
from ae_jax.metrics import reconstruction
from ae_jax.networks import Spec
from ae_jax.training import trainer
from ae_jax.types import UsageError

RNG = np.random.default_rng(0)
SIZE = RNG.uniform(20, 200, (180, 1))
COUNTS = RNG.poisson(SIZE * RNG.dirichlet(np.ones(6), 180)).astype(np.float32)
CLASSES = np.eye(6, dtype=np.float32)[RNG.integers(6, size=180)]
SHARES = RNG.integers(0, 17, (180, 6)).astype(np.float32) / 16
TABLE = np.concatenate(
  [RNG.normal(size=(180, 2)), CLASSES[:, :3] * 0, COUNTS[:, :1]],
  axis=1,
  dtype=np.float32,
)
TABLE[np.arange(180), 2 + RNG.integers(3, size=180)] = 1
COLUMNS = "student_t:2+categorical:3+negative_binomial:1"
X_OF = {
  "poisson": COUNTS,
  "negative_binomial": COUNTS,
  "zero_inflated_negative_binomial": COUNTS,
  "multinomial": COUNTS,
  "categorical": CLASSES,
  "binomial": SHARES,
  "continuous_bernoulli": SHARES,
  "laplace": SHARES,
  "student_t": SHARES,
  "columns": TABLE,
}
VAE = SHORT | {"objective": "vae"}


def run(likelihood, x=None, **options):
  x = X_OF[likelihood] if x is None else x
  point = VAE | {"likelihood": likelihood}
  if likelihood == "columns":
    point |= {"columns": COLUMNS}
  settings = {"metrics": (), "progress": False} | options
  return ae_jax.run_sweep([point], x[:150], test=x[150:], **settings)[0]


FAST = ("negative_binomial", "columns")


@pytest.mark.parametrize(
  "likelihood",
  [
    pytest.param(name, marks=[] if name in FAST else pytest.mark.slow)
    for name in X_OF
  ],
)
def test_a_padded_lane_equals_its_solo_run(likelihood):
  points = [
    VAE | {"likelihood": likelihood, "latent_size": size} for size in (2, 4)
  ]
  if likelihood == "columns":
    points = [p | {"columns": COLUMNS} for p in points]
  trials = grid.resolve(points)
  assert len(groups(trials)) == 1
  results = ae_jax.run_sweep(
    points,
    X_OF[likelihood][:150],
    validation=X_OF[likelihood][150:],
    test=X_OF[likelihood][150:],
    metrics=(),
    progress=False,
  )
  trial = trials[0]
  one = trainer(
    trial.objective,
    trial.spec((6,), 2),
    num_epochs=trial.settings["num_epochs"],
    batch_size=trial.settings["batch_size"],
    optimizer=trial.optimizer,
  )
  hyper = {k: v for k, v in trial.hyper.items() if k != "latent_size"}
  state, _ = jax.jit(one.train)(
    jax.random.key(0), hyper, X_OF[likelihood][:150]
  )
  # Nine steps of float32 in two programs, see `small_sweeps.SOLO`.
  jax.tree.map(
    functools.partial(np.testing.assert_allclose, rtol=2e-4, atol=5e-5),
    results[0].params,
    state.params,
  )


@pytest.mark.parametrize("likelihood", ["negative_binomial", "columns"])
def test_every_way_to_use_a_model_sees_the_same(likelihood, tmp_path):
  trained = run(likelihood, folder=tmp_path / "run")
  x = X_OF[likelihood][150:]
  model, params = trained.model, trained.params
  seen = (
    np.log1p(x)
    if likelihood != "columns"
    else np.concatenate([x[:, :5], np.log1p(x[:, 5:])], axis=1)
  )
  head = params["encoder"]["mean"]
  z = seen @ head["kernel"] + head["bias"]
  np.testing.assert_allclose(trained.encode(x), z, rtol=1e-4, atol=1e-5)
  again = trained.reconstruct(x)
  np.testing.assert_allclose(
    reconstruction.reconstruct(model, params, x), again, rtol=1e-5, atol=1e-5
  )
  error = np.mean(np.sum((x - again) ** 2, axis=1))
  np.testing.assert_allclose(trained.row["test_squared_error"], error, 1e-4)
  trained.export(tmp_path / "exported")
  loaded = ae_jax.load(tmp_path / "exported")
  np.testing.assert_array_equal(loaded.reconstruct(x), again)
  readme = (tmp_path / "exported" / "README.md").read_text()
  if likelihood == "negative_binomial":
    np.testing.assert_allclose(trained.decode(z).sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(again.sum(axis=1), x.sum(axis=1), rtol=1e-5)
    assert "multiply it by the sum of x" in " ".join(readme.split())
    assert "Before the encoder: log1p" in readme


def test_a_column_has_the_density_of_its_likelihood():
  spec = Spec((6,), 2, likelihood="columns", options=(("columns", COLUMNS),))
  ours = spec.likelihood_of({})
  shared = {
    name: RNG.normal(size=p.shape).astype(np.float32) / 10
    for name, p in ours.init().items()
  }
  h = RNG.normal(size=(180, 6, ours.size)).astype(np.float32)
  decoded = ours.decoded({"likelihood": shared}, h, (6,))
  actual = ours.per_feature(TABLE, decoded)
  h = h[..., 0].astype(float)
  scale = np.exp(-6 + np.logaddexp(0, 10 * shared["0_log_scale"][:2] + 6))
  expected = stats.t(5.0, h[:, :2], scale).logpdf(TABLE[:, :2].astype(float))
  np.testing.assert_allclose(-actual[:, :2], expected, rtol=1e-5, atol=1e-5)
  classes = special.log_softmax(h[:, 2:5], axis=1) * TABLE[:, 2:5]
  np.testing.assert_allclose(-actual[:, 2:5], classes, rtol=1e-5, atol=1e-5)
  theta = 10.0 * shared["2_log_dispersion"][5]
  theta = -6 + np.logaddexp(0, theta + 6)
  theta = np.exp(10 - np.logaddexp(0, 10 - theta))
  mean = np.logaddexp(0, h[:, 5])
  expected = stats.nbinom(theta, theta / (theta + mean)).logpmf(TABLE[:, 5])
  np.testing.assert_allclose(-actual[:, 5], expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
  ("likelihood", "hyper", "values"),
  [
    ("bernoulli", {}, [0, 1]),
    ("binomial", {"max_count": 5}, np.arange(6) / 5),
    ("poisson", {"library_size": False}, np.arange(60)),
    ("negative_binomial", {"library_size": False}, np.arange(400)),
    ("zero_inflated_negative_binomial", {"library_size": False}, range(400)),
    ("logistic_mixture", {}, np.arange(256) / 255),
  ],
)
def test_masses_add_up_to_1(likelihood, hyper, values):
  spec = Spec((1,), 1, likelihood=likelihood, options=(*hyper.items(),))
  ours = spec.likelihood_of({})
  h = np.full((len(values), 1, ours.size), 0.7, np.float32)
  decoded = ours.decoded({"likelihood": ours.init()}, h, (1,))
  x = np.float32(values)[:, None]
  total = np.exp(-np.asarray(ours.per_feature(x, decoded), float)).sum()
  # Up to 400 float32 logarithms of masses; the tail left out is below 1e-6.
  np.testing.assert_allclose(total, 1, rtol=1e-5)


@pytest.mark.parametrize(
  ("likelihood", "x", "message"),
  [
    ("poisson", COUNTS - 5, r"needs data in \[0, inf\]"),
    ("negative_binomial", COUNTS + 0.5, "needs counts: whole numbers"),
    ("binomial", SHARES * 0.97, "needs whole numbers / max_count"),
    ("continuous_bernoulli", SHARES * 2, r"needs data in \[0, 1\]"),
    ("categorical", CLASSES * 0, "needs a single 1 among zeros on the last"),
    ("columns", TABLE + 0.5, "each column to be what its likelihood takes"),
    ("columns", TABLE[:, :5], "6 columns of 5"),
  ],
)
def test_data_outside_a_support_are_refused_before_training(
  likelihood, x, message
):
  with pytest.raises(UsageError, match=message):
    run(likelihood, x)


@pytest.mark.parametrize(
  "text", ["student_t:0", "gauss:2+poisson", "poisson+student_t:3", ""]
)
def test_a_list_of_columns_that_is_none(text):
  with pytest.raises(UsageError, match="write LIKELIHOOD:NUMBER"):
    ae_jax.run_sweep(
      [VAE | {"likelihood": "columns", "columns": text}], TABLE, progress=False
    )


@pytest.mark.parametrize(
  ("likelihood", "ending"),
  [
    ("negative_binomial", "_given_total_nats"),
    pytest.param("categorical", "_nats", marks=pytest.mark.slow),
    pytest.param("laplace", "_density_nats", marks=pytest.mark.slow),
    ("columns", "_mixed_nats"),
  ],
)
def test_its_bounds_are_in_the_column_of_its_kind(likelihood, ending):
  row = run(likelihood, metrics=["likelihood"]).row
  assert {k for k in row if k.startswith("test_nll")} - {
    "test_nll_bits_per_dim"
  } == {f"test_nll{ending}"}
  assert ("test_nll_bits_per_dim" in row) == (ending == "_nats")
