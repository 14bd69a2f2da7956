"""Arrays and grids of every kind: a dataset, a grid, or one clear line."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ae_jax import data, grid
from ae_jax.objectives import OBJECTIVES
from ae_jax.types import UsageError

pytestmark = pytest.mark.slow
MANY = settings(
  max_examples=10_000,
  deadline=None,
  suppress_health_check=list(HealthCheck),
)
SHAPES = hnp.array_shapes(min_dims=0, max_dims=5, min_side=0, max_side=6)
DTYPES = st.one_of(
  hnp.boolean_dtypes(),
  hnp.integer_dtypes(endianness="?"),
  hnp.unsigned_integer_dtypes(endianness="?"),
  hnp.floating_dtypes(endianness="?"),
  hnp.complex_number_dtypes(),
  hnp.unicode_string_dtypes(),
  hnp.byte_string_dtypes(),
  hnp.datetime64_dtypes(),
)
NUMBERS = st.sampled_from([0, 1, -1, 0.5, 255, 1e30, np.nan, np.inf])


@st.composite
def arrays(draw):
  """Any shape and type; constant, repeated, Fortran-ordered or cut out."""
  x = draw(hnp.arrays(draw(DTYPES), draw(SHAPES)))
  if x.dtype.kind == "f":
    with np.errstate(over="ignore"):
      x[...] = np.where(draw(st.booleans()), draw(NUMBERS), x)
  if x.ndim and len(x) and draw(st.booleans()):
    x = np.concatenate([x] * draw(st.integers(1, 5)))
  match draw(st.sampled_from("CFS")):
    case "F":
      x = np.asfortranarray(x)
    case "S":
      x = x[::2] if x.ndim else x
  return x


def one_line(error):
  assert "\n" not in str(error)
  assert str(error)


@MANY
@given(arrays(), arrays() | st.none(), arrays() | st.none(), st.booleans())
def test_arrays_become_a_dataset_or_one_line(train, test, labels, standardize):
  before = train.copy()
  try:
    dataset = data.from_arrays(train, test, labels, standardize=standardize)
  except UsageError as error:
    one_line(error)
    return
  np.testing.assert_array_equal(train, before)
  for part in dataset.train, dataset.test:
    assert part.shape[1:] == train.shape[1:]
    assert part.dtype in (np.uint8, np.float32)
    assert part.dtype.isnative
    assert part.flags.c_contiguous
    assert np.isfinite(part).all()
  assert len(dataset.train) >= 2
  assert len(dataset.test) >= 1
  if test is None:
    assert len(dataset.train) + len(dataset.test) == len(train)
  if labels is not None:
    assert len(dataset.train_labels) == len(dataset.train)


@settings(MANY, max_examples=1_000)
@given(arrays())
def test_files_are_read_as_the_arrays_in_them(tmp_path_factory, x):
  path = tmp_path_factory.getbasetemp() / "x.npy"
  np.save(path, x, allow_pickle=False)
  results = []
  for options in ({}, {"stream": True}):
    try:
      results.append(data.load(path=path, **options))
    except UsageError as error:
      one_line(error)
      results.append(None)
  in_memory, streamed = results
  if in_memory is not None and streamed is not None:
    rows = streamed.stream[np.arange(streamed.num_train)]
    assert rows.shape[1:] == in_memory.train.shape[1:]
    assert len(rows) == len(in_memory.train)
    assert np.isfinite(rows).all()


VALUES = st.one_of(
  st.none(),
  st.booleans(),
  st.integers(-3, 2**70),
  st.floats(),
  st.text(max_size=8),
  st.sampled_from(["relu", "conv", "gaussian", "cosine", "vae", "exact"]),
  st.tuples(st.integers(-1, 70), st.integers(1, 70)),
)
NAMES = st.one_of(
  st.sampled_from([*grid.DEFAULTS, "strength", "beta", "noise", "corruption"]),
  st.text(max_size=8),
)


@MANY
@given(
  st.sampled_from([*OBJECTIVES]),
  st.dictionaries(NAMES, st.lists(VALUES, max_size=3), max_size=4),
)
def test_grids_become_trials_or_one_line(objective, axes):
  try:
    points = grid.product(**({"objective": [objective]} | axes))
    trials = grid.resolve(points)
  except UsageError as error:
    one_line(error)
    return
  assert len({trial.id for trial in trials}) == len(trials)
  for trial in trials:
    assert {*grid.DEFAULTS} <= {*trial.settings}
