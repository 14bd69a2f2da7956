"""Arrays and files become datasets; what cannot is one line."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from mistakes import check_fails

from ae_jax import data

X = np.arange(24, dtype=np.float32).reshape(6, 2, 2)
Y = np.arange(6)


@pytest.mark.parametrize(
  "dtype",
  ["bool", "int8", ">i4", "uint16", "int64", "float16", ">f4", "<f4", "f8"],
)
@pytest.mark.parametrize("order", ["C", "F"])
def test_values_are_kept_as_float32(dtype, order, tmp_path):
  values = np.asarray(X % 2 if dtype == "bool" else X, dtype, order)
  np.save(tmp_path / "mine.npy", values)
  np.save(tmp_path / "test.npy", values[:2])
  dataset = data.load(
    path=tmp_path / "mine.npy",
    test_path=str(tmp_path / "test.npy"),
    validation_fraction=0,
  )
  assert dataset.name == "mine"
  assert dataset.train.dtype == dataset.test.dtype == np.float32
  assert dataset.train.dtype.isnative
  assert dataset.train.flags.c_contiguous
  np.testing.assert_array_equal(dataset.train, values)
  np.testing.assert_array_equal(dataset.test, values[:2])
  assert dataset.train_labels is None
  assert dataset.test_labels is None
  assert dataset.validation is None


def test_integers_are_kept_up_to_where_float32_holds_them():
  x = np.array([-(2**24), 1, 2**24 - 1])
  np.testing.assert_array_equal(data.from_arrays(x, x).train, x)


def test_signals_with_an_axis_of_their_channel_are_no_images():
  assert not any(map(data.are_images, [(256,), (256, 1), (1, 256), (9, 1, 1)]))
  assert all(map(data.are_images, [(8, 9), (8, 9, 1), (8, 9, 3)]))


def test_bytes_stay_bytes_and_one_dimension_is_enough():
  dataset = data.from_arrays(np.arange(7, dtype=np.uint8), np.uint8([9]))
  assert dataset.train.dtype == np.uint8
  assert dataset.validation.dtype == np.uint8
  assert sorted([*dataset.train, *dataset.validation]) == [*range(7)]


def test_memory_maps_and_jax_arrays_are_arrays(tmp_path):
  np.save(tmp_path / "x.npy", X)
  for x in np.load(tmp_path / "x.npy", mmap_mode="r"), jnp.asarray(X):
    dataset = data.from_arrays(x, x, validation_fraction=0)
    assert type(dataset.train) is np.ndarray
    np.testing.assert_array_equal(dataset.train, X)


@pytest.mark.parametrize(
  ("num_examples", "test_fraction", "num_test"),
  [(3, 0.5, 1), (3, 0.999, 1), (100, 0.001, 1), (100, 0.25, 25)],
)
def test_the_split(num_examples, test_fraction, num_test):
  x = np.arange(num_examples, dtype=np.float32)
  split = {"test_fraction": test_fraction, "validation_fraction": 0, "seed": 3}
  dataset = data.from_arrays(x, train_labels=x * 10, **split)
  assert dataset.test.shape == (num_test,)
  assert sorted([*dataset.train, *dataset.test]) == x.tolist()
  np.testing.assert_array_equal(dataset.train_labels, dataset.train * 10)
  np.testing.assert_array_equal(dataset.test_labels, dataset.test * 10)
  np.testing.assert_array_equal(data.from_arrays(x, **split).test, dataset.test)


@pytest.mark.parametrize(
  ("fraction", "number"), [(0.0, 0), (0.1, 8), (0.5, 40), (0.999, 78)]
)
def test_the_validation_set_is_a_part_of_what_is_left(fraction, number):
  x = np.arange(100, dtype=np.float32)
  split = {"validation_fraction": fraction, "seed": 3}
  labels = {"train_labels": x * 10, "train_factors": np.stack([x, x], 1)}
  dataset = data.from_arrays(x, **labels, **split)
  assert dataset.test.tolist() == data.from_arrays(x, seed=3).test.tolist()
  assert len(dataset.train) == 80 - number
  assert [*dataset.held_out] == (["validation"] if number else []) + ["test"]
  if not number:
    return
  assert len(dataset.validation) == number
  parts = (dataset.train, dataset.validation, dataset.test)
  assert sorted(np.concatenate(parts)) == x.tolist()
  np.testing.assert_array_equal(
    dataset.validation_labels, dataset.validation * 10
  )
  np.testing.assert_array_equal(
    dataset.validation_factors[:, 0], dataset.validation
  )
  again = data.from_arrays(x, **split)
  np.testing.assert_array_equal(again.validation, dataset.validation)


def test_a_validation_set_that_is_given():
  x = np.random.default_rng(0).normal(size=(9, 2))
  given = {"validation": x[:3] + 1, "validation_labels": Y[:3]}
  dataset = data.from_arrays(x, x[:2], np.arange(9), **given, standardize=True)
  assert len(dataset.train) == 9
  np.testing.assert_array_equal(dataset.validation_labels, Y[:3])
  # Standardized by the train set: float32 rounds at 1e-7.
  expected = dataset.standardization.apply(np.float32(x[:3] + 1))
  np.testing.assert_allclose(dataset.validation, expected, rtol=1e-6)
  for match, wrong in {
    "validation labels, but no validation data": {"validation_labels": Y},
    "validation data has features of shape": {"validation": x[:, :1]},
    "validation_fraction=1: give 0 <= fraction < 1": {"validation_fraction": 1},
  }.items():
    check_fails(match, data.from_arrays, x, **wrong)


def test_the_split_depends_on_the_seed():
  splits = {tuple(data.from_arrays(Y, seed=seed).test) for seed in range(20)}
  assert len(splits) > 1


@pytest.mark.parametrize(
  ("arrays", "labels"),
  [
    ({"anything": X}, False),
    ({"x": X}, False),
    ({"x": X, "y": Y}, True),
    ({"data": X, "target": Y}, True),
    ({"x_train": X, "x_test": X}, False),
    ({"x_train": X, "y_train": Y, "x_test": X, "y_test": Y}, True),
    (
      {"x_train": X, "y_train": Y[:, None], "x_test": X, "y_test": Y[:, None]},
      True,
    ),
    ({"x_train": X, "x_validation": X[:3], "x_test": X}, False),
  ],
)
def test_npz_layouts(arrays, labels, tmp_path):
  np.savez_compressed(tmp_path / "x.npz", **arrays)
  dataset = data.load(path=tmp_path / "x.npz", validation_fraction=0)
  assert (dataset.validation is not None) == ("x_validation" in arrays)
  assert len(dataset.train) == (6 if "x_test" in arrays else 5)
  assert (dataset.train_labels is not None) == labels
  assert (dataset.test_labels is not None) == labels
  if labels:
    np.testing.assert_array_equal(
      dataset.train[:, 0, 0] / 4, dataset.train_labels
    )


def test_labels_and_test_sets_from_files_of_their_own(tmp_path):
  np.savez(tmp_path / "test.npz", x=X[:2], y=Y[:2])
  np.save(tmp_path / "x.npy", X)
  np.save(tmp_path / "y.npy", Y)
  one = data.load(path=tmp_path / "x.npy", labels_path=tmp_path / "y.npy")
  two = data.load(
    path=tmp_path / "x.npy",
    labels_path=tmp_path / "y.npy",
    test_path=tmp_path / "test.npz",
    validation_path=tmp_path / "test.npz",
  )
  three = data.load(
    path=tmp_path / "test.npz",
    test_path=tmp_path / "x.npy",
    test_labels_path=tmp_path / "y.npy",
    validation_path=tmp_path / "x.npy",
    validation_labels_path=tmp_path / "y.npy",
  )
  np.testing.assert_array_equal(two.validation_labels, Y[:2])
  np.testing.assert_array_equal(three.validation_labels, Y)
  np.testing.assert_array_equal(one.train[:, 0, 0], 4 * one.train_labels)
  np.testing.assert_array_equal(two.train_labels, Y)
  np.testing.assert_array_equal(two.test_labels, Y[:2])
  np.testing.assert_array_equal(three.train_labels, Y[:2])
  np.testing.assert_array_equal(three.test_labels, Y)


def test_standardize_uses_the_statistics_of_the_train_set():
  x = np.random.default_rng(0).normal(3, 5, (50, 4))
  x[:, 2] = 0.1  # constant, and its mean is not 0.1 in binary
  dataset = data.from_arrays(x, x + 1, validation_fraction=0, standardize=True)
  x = np.float32(x)
  std = x.std(axis=0, dtype=np.float64)
  std[2] = 1
  assert dataset.train.dtype == dataset.test.dtype == np.float32
  # Both are computed in float64 and rounded once to float32.
  expected = (x - x.mean(axis=0, dtype=np.float64)) / std
  np.testing.assert_allclose(dataset.train, expected, rtol=1e-6, atol=1e-9)
  np.testing.assert_allclose(dataset.test, expected + 1 / std, rtol=1e-5)


@pytest.mark.parametrize("standardize", [False, True])
def test_value_range_is_in_the_units_of_the_data(standardize):
  x = np.linspace(-3, 7, 40).reshape(10, 4)
  options = {"validation_fraction": 0, "standardize": standardize}
  dataset = data.from_arrays(x, x * 9, **options)
  np.testing.assert_allclose(data.value_range(dataset), (-3, 7), rtol=1e-6)
  x = np.arange(51, 103, dtype=np.uint8).reshape(13, 4)
  dataset = data.from_arrays(x, x, **options)
  np.testing.assert_allclose(data.value_range(dataset), (0.2, 0.4), rtol=1e-6)


def test_standardize_maps_bytes_to_the_unit_interval_first():
  x = np.uint8([[0, 7], [255, 7]])
  dataset = data.from_arrays(x, x, standardize=True)
  np.testing.assert_allclose(dataset.train, [[-1, 0], [1, 0]], atol=1e-7)


# The unit interval.


@pytest.mark.parametrize("asarray", [np.asarray, jnp.asarray])
def test_to_float(asarray):
  x = asarray(np.arange(256, dtype=np.uint8))
  unit = data.to_float(x)
  assert unit.dtype == np.float32
  assert unit[0] == 0
  assert unit[255] == 1
  np.testing.assert_allclose(unit, np.arange(256) / 255, rtol=1e-6)
  assert data.to_float(unit) is unit


def test_to_float_under_jit():
  x = jnp.uint8([0, 255])
  assert jax.jit(data.to_float)(x).tolist() == [0, 1]


def test_bytes_of_zeros_and_ones_are_values_and_not_shades():
  bits = np.array([[0, 1], [1, 1], [0, 0]], np.uint8)
  dataset = data.from_arrays(bits, bits)
  assert dataset.train.dtype == np.float32
  np.testing.assert_array_equal(dataset.train, bits)
  shades = data.from_arrays(bits * 255, bits)  # one side has shades
  assert shades.train.dtype == shades.test.dtype == np.uint8
