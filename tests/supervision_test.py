"""Pairs of examples that share all factors but one, or their class."""

import jax
import numpy as np
import pytest

from ae_jax import data, run_sweep
from ae_jax.data import supervision as pairs
from ae_jax.data.supervision import class_numbers
from ae_jax.declarations import objective
from ae_jax.networks import Spec
from ae_jax.report import examples
from ae_jax.training import trainer
from ae_jax.types import UsageError

SIZES = (3, 1, 4, 5)
FACTORS = np.indices(SIZES).reshape(4, -1).T


@pytest.fixture
def dataset():
  """Examples that are their factors, twelve of sixty held out."""
  return data.from_arrays(
    FACTORS.astype(np.float32),
    train_labels=FACTORS[:, 0],
    train_factors=FACTORS,
    factor_names=("a", "b", "c", "d"),
  )


def test_partners_differ_in_one_factor_and_in_each_as_often():
  factors = np.indices((6, 6, 6)).reshape(3, -1).T
  dataset = data.from_arrays(
    factors.astype(np.float32),
    train_factors=factors,
    factor_names=("a", "b", "c"),
  )
  own = dataset.train_factors
  others = own[pairs.partners(dataset, "one_factor")]
  differs = others != own[:, None]
  assert np.all(differs.sum(axis=2) == 1)
  # Of 2,752 draws a third each, give or take four standard errors.
  np.testing.assert_allclose(differs.mean(axis=(0, 1)), 1 / 3, atol=0.036)


def test_partners_of_a_class_are_of_that_class_and_others(dataset):
  own = dataset.train_labels
  partners = pairs.partners(dataset, "class")
  assert np.all(own[partners] == own[:, None])
  assert np.all(partners != np.arange(len(own))[:, None])
  assert np.all(partners == pairs.partners(dataset, "class"))


def test_partners_share_the_factors_that_are_named(dataset):
  own = dataset.train_factors
  others = own[pairs.partners(dataset, "a+d")]
  equal = others == own[:, None]
  assert np.all(equal[..., [0, 1, 3]])
  assert not np.all(equal[..., 2])


def test_labels_come_with_their_examples():
  @objective(batch="labels")
  def labeled(model, params, key, batch, *, num_classes=3):
    loss = 0 * params["decoder"]["latent"]["bias"].sum()
    same = batch.x[:, 0] == batch.label
    return loss, {"same": same.mean(), "largest": batch.label.max()}

  x = np.arange(60, dtype=np.float32)[:, None] % 3
  names = np.array(["a", "b", "c"])[x[:, 0].astype(int)]
  dataset = data.from_arrays(x, train_labels=names)
  (trained,) = run_sweep(
    [{"objective": labeled, "num_epochs": 2}], dataset, metrics=()
  )
  np.testing.assert_array_equal(trained.history["same"], 1)
  with pytest.raises(UsageError, match="num_classes is 2; this data has 3"):
    run_sweep(
      [{"objective": labeled, "num_classes": 2}], dataset, progress=False
    )
  with pytest.raises(UsageError, match="needs labels, and this data has none"):
    run_sweep([{"objective": labeled}], x, progress=False)


@pytest.mark.slow
def test_a_model_of_classes_draws_of_a_class():
  rng = np.random.default_rng(0)
  y = np.arange(400) % 2
  x = (rng.normal(size=(400, 3)) * 0.1 + 3 * y[:, None]).astype(np.float32)
  dataset = data.from_arrays(x, train_labels=y)
  point = {"objective": "conditional_vae", "latent_size": 2}
  point |= {"num_epochs": 150, "learning_rate": 1e-2, "widths": (16,)}
  point |= {"likelihood": "gaussian"}
  told = point | {"labeled": 1.0}
  plain = point | {"objective": "vae"}
  trained, told, vae = run_sweep(
    [point, told, plain],
    dataset,
    metrics=["likelihood", "features"],
    progress=False,
  )
  for label in (0, 1):
    for model in (trained, told):
      drawn = model.condition(label).sample(200)
      assert abs(drawn.mean() - 3 * label) < 1.0  # 1.5 is between the two
  _check_measured_by_class(trained, told, vae, dataset)
  with pytest.raises(UsageError, match=r"label must be in \[0, 10\); got 10"):
    trained.condition(10)
  with pytest.raises(UsageError, match="no example of class 2 was trained on"):
    trained.condition(2)
  for model in (vae, trained.condition(0)):
    with pytest.raises(UsageError, match="is of no class, or of one already"):
      model.condition(0)


def _check_measured_by_class(trained, told, vae, dataset):
  # What is left of x given its class is noise: the class need not be coded.
  bound = "test_negative_elbo_density_nats"
  for model in (trained, told):
    by_class = 0
    for label in (0, 1):
      x = dataset.test[dataset.test_labels == label]
      again = model.condition(label).reconstruct(x)
      by_class += np.sum((again - x) ** 2) / len(dataset.test)
    np.testing.assert_allclose(
      model.row["test_squared_error"], by_class, rtol=1e-5
    )
    assert model.row[bound] < vae.row[bound] - 0.5 * np.log(2)
  label = class_numbers(dataset, dataset.test_labels)
  z = examples.encode(told, dataset.test, label)  # as the page shows it
  again = examples.decode(told, z, label)
  np.testing.assert_allclose(
    np.mean(np.sum((again - dataset.test) ** 2, axis=1)),
    told.row["test_squared_error"],
    rtol=1e-5,
  )
  assert trained.row["test_probe_accuracy"] > 0.9  # of codes without the class
  assert np.isnan(told.row["test_probe_accuracy"])  # those were never trained
  assert told.row["status"] == "ok"
  assert trained.encode(dataset.test).shape == (len(dataset.test), 2)
  assert told.needs_class
  assert not told.condition(1).needs_class
  for use in (told.encode, told.reconstruct, lambda x: told.sample(len(x))):
    with pytest.raises(UsageError, match=r"\.condition\(label\) or --label"):
      use(dataset.test)


def test_a_batch_without_its_hyper_parameter_is_one_line():
  x = FACTORS.astype(np.float32)

  for batch, message in (
    ("pairs", "needs pairs: give it a hyper-parameter pairs: str"),
    ("labels", "needs labels: give it a hyper-parameter num_classes: int"),
  ):

    @objective(batch=batch)
    def loss(model, params, key, batch, *, pairs=1):
      return 0.0, {}

    with pytest.raises(UsageError, match=message):
      run_sweep([{"objective": loss}], x, progress=False)


def test_data_without_any_pair_is_one_line():
  x = np.arange(20.0, dtype=np.float32)[:, None]
  dataset = data.from_arrays(x, train_labels=x[:, 0])
  with pytest.raises(UsageError, match="no two examples of this data make"):
    run_sweep([{"objective": "gvae"}], dataset, progress=False)


def test_an_example_without_another_is_its_own_partner():
  dataset = data.from_arrays(
    np.arange(5.0, dtype=np.float32)[:, None],
    np.zeros((1, 1), np.float32),
    train_labels=np.array([0, 1, 1, 2, 2]),
    test_labels=np.array([0]),
  )
  partners = pairs.partners(dataset, "class")
  assert set(partners[0]) == {0}
  assert set(partners[1]) == {2}


@objective(batch="pairs")
def differing(model, params, key, batch, *, pairs="one_factor"):
  """An objective whose terms are statistics of its batch."""
  loss = 0 * params["decoder"]["latent"]["bias"].sum()
  differ = (batch[:, 0] != batch[:, 1]).sum(axis=1)
  return loss, {"differ": differ.mean(), "first": batch[:, 0].mean()}


def test_batches_are_pairs_other_ones_at_each_epoch(dataset):
  points = [
    {"objective": differing, "pairs": kind, "num_epochs": 3, "batch_size": 48}
    for kind in pairs.KINDS
  ]
  one, of_class = run_sweep(points, dataset, metrics=(), progress=False)
  np.testing.assert_allclose(one.history["differ"], 1.0)
  assert np.all(of_class.history["differ"] > 1)
  assert len(set(of_class.history["differ"].tolist())) > 1
  np.testing.assert_allclose(
    one.history["first"], dataset.train.mean(), rtol=1e-6
  )


def test_the_solo_run_has_the_same_pairs(dataset):
  (swept,) = run_sweep(
    [{"objective": differing, "pairs": "class", "num_epochs": 2}],
    dataset,
    metrics=(),
    progress=False,
  )
  run = trainer(differing, Spec((4,), 8, widths=(64,)), num_epochs=2)
  rows = pairs.Pairs(dataset.train, pairs.partners(dataset, "class"))
  _, history = run.train(jax.random.key(0), {"learning_rate": 1e-3}, rows)
  # A mean, that a program under JAX_ENABLE_X64 may take in 64 bits.
  np.testing.assert_allclose(
    history["differ"], swept.history["differ"], rtol=1e-7
  )


@pytest.mark.parametrize(
  ("kind", "message"),
  [
    ("one_factor", "pairs='one_factor' needs data of known factors"),
    ("class", "pairs='class' needs labels"),
    ("speaker", "pairs is 'speaker'; allowed: one_factor, class"),
    ("class+x", r"pairs is 'class\+x'; allowed: one_factor, class"),
  ],
)
def test_what_cannot_be_paired_is_one_line(kind, message):
  x = np.random.default_rng(0).uniform(size=(20, 3)).astype(np.float32)
  with pytest.raises(UsageError, match=message):
    run_sweep([{"objective": "ada_gvae", "pairs": kind}], x, progress=False)


def test_factors_of_ones_own_file(tmp_path):
  x = FACTORS.astype(np.float32)
  values = np.array([-1.5, 0, 2, 7, 9])[FACTORS]
  np.savez(tmp_path / "x.npz", x=x, factors=values)
  dataset = data.load(path=tmp_path / "x.npz")
  assert dataset.factor_names == (
    "factor_1",
    "factor_2",
    "factor_3",
    "factor_4",
  )
  np.testing.assert_array_equal(dataset.train_factors, dataset.train)
  np.testing.assert_array_equal(dataset.test_factors, dataset.test)
  for factors, message in (
    (values[1:], "factors of 59 examples, and 60 examples"),
    (values[:, 0], "the factors must be numbers or words"),
  ):
    np.savez(tmp_path / "bad.npz", x=x, factors=factors)
    with pytest.raises(UsageError, match=message):
      data.load(path=tmp_path / "bad.npz")
  np.save(tmp_path / "train.npy", x)
  with pytest.raises(UsageError, match="holds factors: only data.path may"):
    data.load(path=tmp_path / "train.npy", test_path=tmp_path / "x.npz")
