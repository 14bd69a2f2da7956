"""Metrics of disentanglement on codes whose scores are known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, mutual_info_score
from sklearn.neighbors import NearestCentroid

from ae_jax import data, run_sweep
from ae_jax.data import shapes
from ae_jax.metrics import disentanglement, interpretability, sap
from ae_jax.metrics.columns import GROUPS
from ae_jax.metrics.eval_data import eval_data
from ae_jax.types import UsageError

NUM_VALUES = (3, 6, 10, 8, 8)
RNG = np.random.default_rng(0)
GRID = np.indices(NUM_VALUES).reshape(5, -1).T
FACTORS = GRID[RNG.permutation(len(GRID))[:5000]].astype(np.int32)
KNOWN = (FACTORS / (np.array(NUM_VALUES) - 1)).astype(np.float32)
ROTATION, _ = np.linalg.qr(RNG.normal(size=(5, 5)))
CHANCE = 1 / 5
ORDERED = (True,) * 5
WORDS = np.array(["ant", "bee", "cat", "dog", "elk", "fox"])


@jax.jit
def of_codes(z):
  z, factors, key = (
    jnp.asarray(z),
    jnp.asarray(FACTORS),
    jax.random.key(0),
  )
  common = factors, NUM_VALUES
  information = disentanglement.mutual_information(z, *common)
  return {
    "beta_vae_score": disentanglement.beta_vae_score(key, z, *common),
    "factor_vae_score": disentanglement.factor_vae_score(key, z, *common),
    "mig": disentanglement.mutual_information_gap(information, *common),
    "sap": sap.separated_attribute_predictability(z, *common, ORDERED),
    "modularity": disentanglement.modularity(information),
  }


def scores(z):
  z = np.asarray(z, np.float32)
  return of_codes(z) | interpretability.metrics(z, FACTORS)


@pytest.fixture(scope="module")
def of_factors():
  return scores(KNOWN)


def test_the_factors_themselves_score_one(of_factors):
  # A forest sees some values of half of the codes too seldom.
  for name, score in of_factors.items():
    assert score > 0.99, name


def test_order_sign_and_scale_do_not_matter(of_factors):
  other = scores(KNOWN[:, ::-1] * np.array([3, -1, 0.3, 2, -5]) + 1)
  for name, score in of_factors.items():
    assert abs(other[name] - score) < 0.005, name


@pytest.mark.slow
def test_a_larger_code_beside_it_changes_no_metric():
  dataset = data.load(name="shapes/2x3x1x6x6")
  point = {"objective": "vae", "num_epochs": 2, "widths": (16,)}
  common = {"metrics": ["disentanglement"], "progress": False}
  (alone,) = run_sweep([point | {"latent_size": 2}], dataset, **common)
  points = [point | {"latent_size": n} for n in (2, 9)]
  both = run_sweep(points, dataset, **common)
  for name, metric in GROUPS["disentanglement"].items():
    assert metric.unit == "share"
    # A code at the edge of a bin may fall on either side of it.
    np.testing.assert_allclose(
      both[0].row[name], alone.row[name], atol=5e-3, err_msg=name
    )


def test_a_factor_of_one_value_is_left_out():
  dataset = data.load(name="shapes/1x2x1x3x3")
  kept = eval_data(dataset)
  assert kept.factor_names == ("scale", "x", "y")
  assert kept.num_values == (2, 3, 3)
  assert eval_data(data.load(name="shapes/1x6x1x1x1")).factors is None


def test_a_rotation_scores_less(of_factors):
  standard = (KNOWN - KNOWN.mean(0)) / KNOWN.std(0)
  rotated = scores(standard @ ROTATION)
  rotated.pop("explicitness")  # a logistic regression turns with the codes
  for name, score in rotated.items():
    assert score < of_factors[name] - 0.001, name
  for name in ("mig", "sap", "dci_disentanglement", "dci_completeness"):
    assert rotated[name] < 0.5, name


def test_noise_scores_chance():
  noise = scores(RNG.uniform(size=KNOWN.shape))
  for name in ("beta_vae_score", "factor_vae_score"):
    # Four standard errors of 5,000 votes.
    assert abs(noise[name] - CHANCE) < 4 * np.sqrt(0.16 / 5000)
  for name in ("mig", "sap", "dci_disentanglement", "dci_completeness"):
    assert abs(noise[name]) < 0.02, name
  assert abs(noise["explicitness"] - 0.5) < 0.02
  assert noise["irs"] < 0.05  # the 0.99 quantile of a uniform is nearly its end
  # The share of the values that a guess meets.
  assert noise["dci_informativeness"] < np.mean(1 / np.array(NUM_VALUES)) + 0.05


def test_the_order_of_the_rows_does_not_matter():
  # Sorted, the first 10,000 of these have one value of the first factor.
  factors = np.indices((2, 8, 875)).reshape(3, -1).T[:, :2]
  noise = RNG.normal(size=(len(factors), 2)).astype(np.float32)
  split = data.from_arrays(
    noise, noise[:2], train_factors=factors, validation_fraction=0
  )
  some = disentanglement.random_subset(eval_data(split))
  assert some.num_values == (2, 8)
  z, v = np.asarray(some.train), np.asarray(some.factors)
  assert len(z) == disentanglement.NUM_EXAMPLES
  information = disentanglement.mutual_information(z, v, some.num_values)
  mig = disentanglement.mutual_information_gap(information, v, some.num_values)
  # By chance, I(z; v) is about 19 (values - 1) / 2n: 1e-3 of log 2.
  assert 0 <= mig < 0.01
  found = interpretability.metrics(z, v)
  assert found["dci_disentanglement"] < 0.02
  # The share of the values that a guess meets, to four standard errors.
  guesses = np.mean([1 / 2, 1 / 8])
  assert abs(found["dci_informativeness"] - guesses) < 4 * np.sqrt(0.25 / 5000)


def test_a_factor_that_varies_elsewhere_is_left_out():
  factors = np.zeros((12_000, 3), int)
  factors[:, 0], factors[:, 1] = np.arange(12_000) % 2, np.arange(12_000) % 3
  unseen = np.random.default_rng(0).permutation(12_000)[-1]
  factors[unseen, 2] = 1
  x = np.zeros((12_000, 1), np.float32)
  whole = {"test": x[:2], "validation_fraction": 0}
  split = data.from_arrays(x, train_factors=factors, **whole)
  some = disentanglement.random_subset(eval_data(split))
  assert some.factor_names == ("factor_1", "factor_2")
  lone = data.from_arrays(x, train_factors=factors[:, 1:], **whole)
  assert disentanglement.random_subset(eval_data(lone)).factors is None


def test_collapsed_units_have_no_vote():
  z = (KNOWN @ ROTATION).astype(np.float32)
  noise = 1e-3 * RNG.normal(size=(len(z), 27)).astype(np.float32)
  score = jax.jit(disentanglement.factor_vae_score, static_argnums=3)
  common = jnp.asarray(FACTORS), NUM_VALUES
  alone = score(jax.random.key(0), jnp.asarray(z), *common)
  beside = score(jax.random.key(0), jnp.hstack([z, noise]), *common)
  assert alone == beside
  assert score(jax.random.key(0), jnp.asarray(noise), *common) == 0


def test_constant_codes_have_no_importance():
  codes = np.zeros((200, 3), np.float32)
  found = interpretability.metrics(codes, FACTORS[:200])
  for name in ("dci_disentanglement", "dci_completeness", "irs"):
    assert abs(found[name]) < 1e-12, name
  assert found["explicitness"] == 0.5


def test_noise_of_a_unit_is_no_sign_of_another_factor():
  standard = (KNOWN - KNOWN.mean(0)) / KNOWN.std(0)
  noise = 0.5 * RNG.normal(size=KNOWN.shape)
  found = interpretability.metrics(standard + noise, FACTORS)
  # Trees without a limit of their depth give 0.13, as of a rotated code.
  for name in ("dci_disentanglement", "dci_completeness"):
    assert found[name] > 0.7, name


def test_information_is_that_of_scikit_learn():
  z = (KNOWN @ ROTATION + 0.1 * RNG.normal(size=KNOWN.shape)).astype(np.float32)
  information = jax.jit(disentanglement.mutual_information, static_argnums=2)
  found = information(z, FACTORS, NUM_VALUES)
  for j in range(5):
    bins = np.digitize(z[:, j], np.histogram(z[:, j], 20)[1][:-1])
    for k in range(5):
      expected = mutual_info_score(bins, FACTORS[:, k])
      # An example at the edge of a bin may fall on either side.
      np.testing.assert_allclose(found[j, k], expected, atol=1e-3)


def test_sap_is_the_gap_of_squared_correlations():
  z = (KNOWN @ ROTATION).astype(np.float32)
  squared = np.corrcoef(z.T, FACTORS.T)[:5, 5:] ** 2
  falling = -np.sort(-squared, axis=0)
  np.testing.assert_allclose(
    sap.separated_attribute_predictability(
      jnp.asarray(z), jnp.asarray(FACTORS), NUM_VALUES, ORDERED
    ),
    np.mean(falling[0] - falling[1]),
    rtol=1e-4,
  )


balanced_accuracy = jax.jit(sap.balanced_accuracy, static_argnums=2)


def test_a_unit_names_values_as_the_nearest_centroid_does():
  noise = RNG.normal(size=(len(KNOWN), 3))
  z = (KNOWN[:, :3] + 0.2 * noise).astype(np.float32)
  half, values = len(z) // 2, FACTORS[:, 2]
  expected = []
  for unit in z.T[:, :, None]:
    model = NearestCentroid().fit(unit[:half], values[:half])
    named = model.predict(unit[half:])
    right = balanced_accuracy_score(values[half:], named, adjusted=True)
    expected.append(max(right, 0))
  found = balanced_accuracy(z, values, NUM_VALUES[2])
  # An example halfway between two means may fall on either side.
  np.testing.assert_allclose(found, expected, atol=1e-3)
  # Its deviation under chance: sqrt(p (1 - p) / 2500) / (1 - p), p = 1 / 10.
  assert np.all(found[:2] < 4 * np.sqrt(0.1 / 0.9 / 2500))
  assert found[2] > 0.2


@pytest.mark.parametrize("recoded", [(0, 1, 2), (0, 2, 1), (2, 0, 1)])
def test_words_score_the_same_in_any_order(recoded):
  z = np.stack([FACTORS[:, 0], np.zeros(5000), RNG.normal(size=5000)], axis=1)
  words = WORDS[np.array(recoded)[FACTORS[:, :1]]]
  values = data.factors.numbered(words)
  score = sap.separated_attribute_predictability(
    jnp.asarray(z[:, :2], jnp.float32), jnp.asarray(values), (3,), (False,)
  )
  np.testing.assert_allclose(score, 1, atol=1e-6)  # of a perfect unit
  mixed = (z + 0.5 * z[:, [2, 2, 0]]).astype(np.float32)
  np.testing.assert_allclose(
    balanced_accuracy(mixed, values[:, 0], 3),
    balanced_accuracy(mixed, FACTORS[:, 0], 3),
    atol=1e-6,  # sums in another order
  )


def test_values_that_units_do_not_tell_score_chance():
  values = np.array([0, 1, 2, 0, 1, 2, 0, 1] * 2)  # 3 is in neither half
  flat = np.stack([np.full(16, 0.1), np.arange(16) // 8], axis=1)
  found = balanced_accuracy(flat.astype(np.float32), values, 4)
  np.testing.assert_allclose(found, 0, atol=1e-6)


def test_what_is_unordered_is_known():
  x, words = KNOWN[:40], WORDS[FACTORS[:40, :2]]
  of_words = data.from_arrays(x, train_factors=words)
  assert eval_data(of_words).is_ordered == (False, False)
  of_numbers = data.from_arrays(x, train_factors=FACTORS[:40])
  assert eval_data(of_numbers).is_ordered == ORDERED
  of_shapes = eval_data(data.load(name="shapes/3x1x1x2x2"))
  assert of_shapes.is_ordered == (False, True, True)
  with pytest.raises(UsageError, match="'a'] are not among .'factor_1'"):
    data.from_arrays(x, train_factors=FACTORS[:40], unordered_factors=("a",))


def test_gap_and_modularity_of_a_table_made_by_hand():
  entropies = np.log([2, 4])
  information = jnp.array([[0.6, 0.0], [0.2, 1.0], [0.0, 0.0]])
  factors = jnp.array([[i % 2, i % 4] for i in range(8)])
  gap = disentanglement.mutual_information_gap(information, factors, (2, 4))
  expected = np.mean(np.array([0.4, 1.0]) / entropies)
  np.testing.assert_allclose(gap, expected, rtol=1e-6)
  np.testing.assert_allclose(  # the third unit tells of nothing
    disentanglement.modularity(information), np.mean([1, 1 - 0.04]), rtol=1e-6
  )


def test_votes_are_those_of_a_plain_loop():
  z = (KNOWN @ ROTATION).astype(np.float32)
  rng, votes, said = np.random.default_rng(1), np.zeros((5, 5)), []
  variance = z.var(axis=0)
  for i in range(6000):
    k = rng.integers(5)
    same = np.flatnonzero(FACTORS[:, k] == rng.choice(FACTORS[:, k]))
    unit = np.argmin(z[rng.choice(same, 64)].var(axis=0) / variance)
    if i < 4000:
      votes[unit, k] += 1
    else:
      said.append(votes[unit].argmax() == k)
  found = of_codes(z)["factor_vae_score"]
  assert abs(found - np.mean(said)) < 0.04  # four standard errors of 2,000


@pytest.mark.slow  # a page of factors is one of the default tests
def test_a_sweep_measures_shapes():
  dataset = data.load(name="shapes/2x3x1x6x6")
  assert dataset.factor_names == shapes.FACTORS
  parts = dataset.train, *dataset.held_out.values()
  assert sum(map(len, parts)) == 2 * 3 * 6 * 6
  (trained,) = run_sweep(
    [{"objective": "vae", "latent_size": 3, "num_epochs": 1, "widths": (8,)}],
    dataset,
    metrics=["disentanglement"],
    progress=False,
  )
  for name in ("mig", "sap", "modularity", "dci_completeness"):
    assert 0 <= trained.row[name] <= 1


def test_factors_stay_beside_their_images():
  dataset = data.load(name="shapes/3x2x4x3x3")
  values = [
    np.arange(count) * size // count
    for count, size in zip((3, 2, 4, 3, 3), shapes.SIZES, strict=True)
  ]
  assert np.array_equal(np.unique(dataset.train_labels), [0, 1, 2])
  for images, factors in (
    (dataset.train, dataset.train_factors),
    (dataset.test, dataset.test_factors),
  ):
    picked = np.stack([values[k][factors[:, k]] for k in range(5)], axis=1)
    np.testing.assert_array_equal(shapes.draw(picked), images[..., 0])


def test_a_shape_goes_where_its_factors_say():
  place = np.arange(64) + 0.5
  for name in range(3):
    images = shapes.draw(
      np.array([[name, 5, 0, x, y] for x, y in ((0, 0), (31, 0), (0, 31))])
    )
    assert {*np.unique(images)} == {0, 255}
    mass = images / images.sum(axis=(1, 2), keepdims=True)
    x, y = mass.sum(axis=1) @ place, mass.sum(axis=2) @ place
    # Half of the picture, to a tenth of a pixel.
    np.testing.assert_allclose([x[1] - x[0], y[2] - y[0]], 32, atol=0.1)
    np.testing.assert_allclose([x[2] - x[0], y[1] - y[0]], 0, atol=0.1)
  small, large = shapes.draw(np.array([[1, 0, 0, 9, 9], [1, 5, 0, 9, 9]]))
  np.testing.assert_allclose(large.sum() / small.sum(), 4, rtol=0.05)
  square = shapes.draw(np.array([[0, 5, turn, 9, 9] for turn in (0, 10, 5)]))
  np.testing.assert_array_equal(square[0], square[1])  # a quarter of a turn
  assert np.any(square[0] != square[2])


@pytest.mark.parametrize("name", ["2x2", "3x3x3x3x33", "0x1x1x1x1", "a", "x"])
def test_a_grid_of_another_form_is_one_line(name):
  with pytest.raises(UsageError, match="at most shapes/3x6x40x32x32"):
    data.load(name=f"shapes/{name}")
