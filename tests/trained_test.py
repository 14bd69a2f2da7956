"""A trained model on arrays of any length, in the units of its data."""

import pickle
import warnings

import jax
import numpy as np
import pytest

import ae_jax
from ae_jax.data import Standardization
from ae_jax.networks import Spec, autoencoder
from ae_jax.objectives import OBJECTIVES
from ae_jax.parameters import init_params
from ae_jax.trained import Trained
from ae_jax.types import UsageError

MLP = Spec((4, 3), 5, widths=(16,))
VAE = Spec((4, 3), 5, widths=(16,), code="gaussian", likelihood="bernoulli")
# A product over fewer or more rows may be summed in another order.
CLOSE = {"rtol": 1e-5, "atol": 1e-6}


def trained(spec, standardization=None, *, data_range=(0.0, 1.0), bytes=False):
  model = autoencoder(spec)
  params = jax.tree.map(np.asarray, model.init(jax.random.key(0)))
  row = {"objective": "vae" if spec.code == "gaussian" else "autoencoder"}
  return Trained(row, {}, spec, params, standardization, data_range, bytes)


def uniform(n, spec=MLP):
  rng = np.random.default_rng(n)
  return rng.uniform(size=(n, *spec.features)).astype(np.float32)


@pytest.mark.parametrize("n", [1, 1023, 1024, 1025])
@pytest.mark.parametrize("spec", [MLP, VAE], ids=["point", "gaussian"])
def test_batches_are_the_pure_functions_in_one_piece(spec, n):
  one, x = trained(spec), uniform(n)
  code = one.model.encode(one.params, x)
  mean = code.mean if spec is VAE else code
  means = one.model.mean(one.model.decode(one.params, mean))
  z = one.encode(x)
  assert z.dtype == np.float32
  np.testing.assert_allclose(z, mean, **CLOSE)
  np.testing.assert_allclose(one.decode(z), means, **CLOSE)
  np.testing.assert_allclose(one.reconstruct(x), means, **CLOSE)
  lengths = [len(batch) for batch in one.encode_batches(x)]
  assert lengths == [*[1024] * (n // 1024), *[n % 1024] * (n % 1024 > 0)]


@pytest.mark.parametrize("spec", [MLP, VAE], ids=["point", "gaussian"])
def test_no_rows_give_no_rows(spec):
  one = trained(spec)
  for x in (uniform(0), uniform(0).astype(np.uint8)):
    assert one.encode(x).shape == (0, 5)
    assert one.reconstruct(x).shape == (0, 4, 3)
  assert one.decode(np.zeros((0, 5))).shape == (0, 4, 3)


def test_bytes_stand_for_what_they_stood_for_in_training():
  one = trained(MLP, bytes=True)
  x = np.random.default_rng(0).integers(0, 256, (1030, 4, 3), dtype=np.uint8)
  np.testing.assert_allclose(
    one.encode(x), one.encode(x.astype(np.float32) / 255), **CLOSE
  )
  # Also where all of them are dark.
  dark = np.ones((3, 4, 3), np.uint8)
  np.testing.assert_allclose(
    one.encode(dark), one.encode(dark.astype(np.float32) / 255), **CLOSE
  )
  # Trained on zeros and ones, or on numbers up to 255, they are themselves.
  binary = (x > 127).astype(np.uint8)
  one = trained(MLP)
  for values in (binary, binary.astype(bool), binary.astype(np.int64)):
    np.testing.assert_array_equal(
      one.encode(values), one.encode(binary.astype(np.float32))
    )
  with pytest.raises(UsageError, match="up to 1: give x / 255"):
    one.encode(x)
  wide = trained(MLP, data_range=(0.0, 255.0))
  np.testing.assert_array_equal(
    wide.encode(x), wide.encode(x.astype(np.float32))
  )


@pytest.mark.parametrize("dtype", [np.float32, np.uint16, np.int64])
def test_bytes_that_are_held_as_another_type_are_one_line(dtype):
  one = trained(MLP, bytes=True)
  x = np.random.default_rng(0).integers(0, 256, (5, 4, 3))
  with pytest.raises(UsageError, match="trained on bytes: give them as uint8"):
    one.encode(x.astype(dtype))
  one.encode((x > 127).astype(dtype))  # these are in [0, 1]
  one.encode(x / 255 + 0.3)  # as noise may make them


def test_integers_that_float32_changes_are_one_line():
  x = np.full((1, 4, 3), 2**24 + 1)
  with pytest.raises(UsageError, match="holds the integer 16777217"):
    trained(MLP, data_range=(0, 1e9)).encode(x)


def test_data_in_other_units_are_told_once():
  x = 40 * uniform(2500) - 10
  one = trained(MLP, data_range=(-10.0, 30.0))  # degrees Celsius
  with warnings.catch_warnings():
    warnings.simplefilter("error")
    one.encode(x)
    one.encode(2 * x)  # beyond what was seen, by less than all of it
  with pytest.warns(UserWarning, match="in the same units") as told:
    one.encode(x + 273)
  assert len(told) == 1
  assert r"in [-10, 30]" in str(told[0].message)
  with pytest.warns(UserWarning, match="in the same units"):
    one.reconstruct(x - 60)


def test_codes_are_never_bytes():
  one, z = trained(MLP), np.full((2, 5), 200, np.uint8)
  np.testing.assert_array_equal(one.decode(z), one.decode(z.astype(np.float32)))


def test_standardized_data_goes_in_and_out_in_its_own_units():
  mean = np.arange(12.0).reshape(4, 3)
  std = np.linspace(0.5, 3.0, 12).reshape(4, 3)
  inside = trained(MLP, data_range=(-40.0, 3.0))
  one = trained(MLP, Standardization(mean, std), bytes=True)
  x = uniform(10)
  scaled = ((x - mean[None]) / std[None]).astype(np.float32)
  np.testing.assert_allclose(one.encode(x), inside.encode(scaled), **CLOSE)
  expected = inside.reconstruct(scaled) * std[None] + mean[None]
  np.testing.assert_allclose(one.reconstruct(x), expected, rtol=1e-5, atol=1e-5)
  scaled = ((np.uint8(51) / 255 - mean[None]) / std[None]).astype(np.float32)
  np.testing.assert_allclose(
    one.encode(np.full((1, 4, 3), 51, np.uint8)),
    inside.encode(scaled),
    **CLOSE,
  )


def test_a_memory_mapped_file_is_an_array_too(tmp_path):
  one, x = trained(MLP), uniform(1025)
  np.save(tmp_path / "x.npy", x)
  mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
  np.testing.assert_array_equal(one.encode(mapped), one.encode(x))


def test_samples_are_means_of_codes_from_the_prior():
  one = trained(VAE)
  z = one.sample_codes(20_000, seed=3)
  # Standard errors: 1/sqrt(n) of the mean, sqrt(2/n) of the variance.
  np.testing.assert_allclose(z.mean(axis=0), 0, atol=5 / 20_000**0.5)
  np.testing.assert_allclose(z.var(axis=0), 1, atol=5 * (2 / 20_000) ** 0.5)
  # Another number of them is another program: the last bit may differ.
  np.testing.assert_allclose(one.sample_codes(7, seed=3), z[:7], **CLOSE)
  np.testing.assert_allclose(one.sample(7, seed=3), one.decode(z[:7]), **CLOSE)
  assert np.abs(one.sample(7) - one.sample(7, seed=3)).max() > 0.01
  assert one.sample(0).shape == (0, 4, 3)


MISTAKES = {
  "no rows": (lambda: trained(MLP).encode(np.float32(3)), r"\[n, 4, 3\].*\(\)"),
  "flat": (lambda: trained(MLP).encode(np.zeros((2, 12))), r"got \(2, 12\)"),
  "codes": (lambda: trained(MLP).decode(np.zeros((2, 4))), r"codes.*\[n, 5\]"),
  "words": (lambda: trained(MLP).encode(np.full((2, 4, 3), "a")), "type <U1"),
  "complex": (
    lambda: trained(MLP).decode(np.zeros((2, 5), complex)),
    "type complex128",
  ),
  "sample": (lambda: trained(MLP).sample(2), "objective autoencoder has no pr"),
  "seed": (lambda: trained(VAE).sample(2, seed=-1), r"seed must be.*got -1"),
  "number": (lambda: trained(VAE).sample(-1), r"num_samples must be.*got -1"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_line(mistake):
  call, message = MISTAKES[mistake]
  with pytest.raises(UsageError, match=message) as raised:
    call()
  assert "\n" not in str(raised.value)


@pytest.mark.parametrize("value", [np.nan, -np.inf, 1e300])
def test_the_first_row_that_is_not_finite_is_named(value):
  x = uniform(2000).astype(np.float64)
  x[1500, 2, 1] = x[1700, 0, 0] = value
  with pytest.raises(UsageError, match="row 1500 of the data"):
    trained(MLP).encode(x)
  with pytest.raises(UsageError, match="row 1 of the codes"):
    trained(MLP).decode([[0.0] * 5, [value] * 5])


X = np.random.default_rng(0).uniform(size=(200, 6)).astype(np.float32)
SMALL = {"latent_size": 4, "widths": (8,), "num_epochs": 1}
MODELS = {  # objective -> fields of its spec, its hyper-parameters
  "autoencoder": ({}, {}),
  "vae": ({"code": "gaussian", "likelihood": "bernoulli"}, {}),
  "vamp_vae": ({"code": "gaussian"}, {"num_pseudo_inputs": 5}),
  "k_sparse": ({}, {"k": 2.0}),
  "fsq": ({}, {"levels": 3.0}),
  "vq_vae": ({}, {"num_codes": 4, "code_dim": 2}),
  "conditional_vae": ({"code": "gaussian"}, {"num_classes": 2}),
}


def of_objective(name):
  """A model with the parameters that an objective has of its own."""
  fields, hyper = MODELS[name]
  declared = OBJECTIVES[name].declaration if name != "autoencoder" else None
  own = OBJECTIVES[name] if declared and declared.is_of_the_model else None
  spec = Spec((6,), 4, widths=(8,), objective=own, **fields)
  params = init_params(
    OBJECTIVES[name], autoencoder(spec), jax.random.key(0), hyper
  )
  params = jax.tree.map(lambda p: np.asarray(p + 0.01), params)
  row = {
    "id": "0123456789",
    "objective": name,
    "widths": (8,),
    "x": None,
  } | hyper
  history = {"loss": np.float32([2, 1])}
  return Trained(row, history, spec, params, None, (0.0, 1.0), False)


def assert_same_model(one, other, x):
  assert other.row == one.row
  assert other.spec == one.spec
  assert (other.data_range, other.bytes) == (one.data_range, one.bytes)
  jax.tree.map(np.testing.assert_array_equal, other.history, one.history)
  jax.tree.map(np.testing.assert_array_equal, other.params, one.params)
  z = one.encode(x)
  np.testing.assert_array_equal(other.encode(x), z)
  np.testing.assert_array_equal(other.decode(z), one.decode(z))
  if one.spec.code == "gaussian":
    np.testing.assert_array_equal(
      other.sample(9, seed=1), one.sample(9, seed=1)
    )


@pytest.mark.parametrize("name", MODELS)
def test_a_model_survives_pickle_and_save(tmp_path, name):
  one = of_objective(name)
  assert_same_model(one, pickle.loads(pickle.dumps(one)), X)
  one.save(tmp_path / "model")
  loaded = ae_jax.load(str(tmp_path / "model"))
  assert_same_model(one, loaded, X)
  if name == "conditional_vae":
    assert_same_model(one.condition(1), loaded.condition(1), X)


@pytest.mark.parametrize("kind", ["standardized", "bytes"])
def test_the_units_of_the_data_survive_save(tmp_path, kind):
  x = X if kind == "standardized" else (255 * X).astype(np.uint8)
  (one,) = ae_jax.run_sweep(
    [SMALL], x, standardize=kind == "standardized", metrics=(), progress=False
  )
  assert one.bytes == (kind == "bytes")
  assert (one.standardization is not None) == (kind == "standardized")
  one.save(tmp_path)
  assert_same_model(one, ae_jax.load(tmp_path), x)


def test_search_finds_what_it_is_given():
  one = of_objective("autoencoder")
  distances, indices = one.search(X[:20], X, num=3)
  assert distances.shape == indices.shape == (20, 3)
  np.testing.assert_array_equal(indices[:, 0], np.arange(20))
  assert np.all(np.diff(distances, axis=1) >= 0)
  z = one.encode(X)
  expected = np.linalg.norm(z[:20, None] - z[indices], axis=2)
  # Distances of float32 codes by differences of squares.
  np.testing.assert_allclose(distances, expected, atol=1e-3)
  for num in (0, 201):
    with pytest.raises(UsageError, match=r"num must be in 1 \.\.\. 200"):
      one.search(X, X, num)


def test_samples_like_data_are_near_it():
  one = of_objective("autoencoder")
  drawn = one.sample(500, seed=2, like=X)
  assert drawn.shape == (500, 6)
  expected = one.reconstruct(X)
  # 200 and 500 draws: five standard errors of their difference.
  error = 5 * expected.std(axis=0) * (1 / 200 + 1 / 500) ** 0.5
  assert np.all(np.abs(drawn.mean(axis=0) - expected.mean(axis=0)) < error)


def test_export_writes_the_functions_too(tmp_path):
  one = of_objective("autoencoder")
  one.export(tmp_path / "model")
  names = {path.name for path in (tmp_path / "model").iterdir()}
  assert {"encode.stablehlo", "decode.stablehlo", "README.md"} <= names
  assert_same_model(
    of_objective("autoencoder"), ae_jax.load(tmp_path / "model"), X
  )
