"""Arrays, grids and configs of every kind: a run, or one clear line."""

import contextlib
import io
import itertools

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import ae_jax
from ae_jax import data, grid, report
from ae_jax.cli import sweep
from ae_jax.likelihoods import LIKELIHOODS
from ae_jax.metrics.columns import GROUPS
from ae_jax.objectives import OBJECTIVES
from ae_jax.run_folder import results
from ae_jax.types import UsageError

pytestmark = pytest.mark.slow
MANY = settings(
  max_examples=10_000,
  derandomize=True,
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


FIELDS = {
  "fixed.num_epochs": st.sampled_from([2, 3, 0]),
  "fixed.batch_size": st.sampled_from([7, 1, 128, 0]),
  "fixed.widths": st.sampled_from(["()", "5", "(8, 4)", "0"]),
  "fixed.network": st.sampled_from(["mlp", "mlp", "conv"]),
  "fixed.activation": st.sampled_from(["relu", "tanh", "silu"]),
  "fixed.likelihood": st.sampled_from([*LIKELIHOODS]),
  "fixed.code": st.sampled_from(["", "", "sigmoid", "gaussian"]),
  "fixed.schedule": st.sampled_from(["constant", "linear", "cosine"]),
  "fixed.learning_rate": st.sampled_from([1e-3, 1.0, 1e6]),
  "data.standardize": st.booleans(),
  "data.stream": st.booleans(),
  "data.test_fraction": st.sampled_from([0.2, 0.5, 0.9, 1.0]),
  "data.seed": st.sampled_from([1, 2, -1]),
  "sweep.latent_size": st.sampled_from(["1", "(2, 9)", "(3, 4)", "0"]),
  "sweep.seed": st.sampled_from(["1", "(1, 2147483647)", "(-1,)"]),
  "metrics": st.lists(st.sampled_from([*GROUPS])).map(",".join),
  "memory_gb": st.sampled_from([1.0, 0.1, 1e-6]),
}
REAL = hnp.arrays(
  st.sampled_from([np.uint8, np.float32, np.dtype(">f8"), np.int16]),
  hnp.array_shapes(min_dims=2, max_dims=4, min_side=1, max_side=12),
)
NUMBER = itertools.count()


@settings(MANY, max_examples=200)
@given(
  st.sampled_from([*OBJECTIVES]),
  st.one_of(REAL, REAL, REAL, arrays()),
  st.none() | st.integers(1, 3),
  st.dictionaries(st.sampled_from([*FIELDS]), st.none(), max_size=4),
  st.data(),
)
def test_a_run_ends_with_numbers_or_one_line(
  tmp_path_factory, objective, x, num_classes, fields, draw
):
  folder = tmp_path_factory.getbasetemp() / f"fuzz{next(NUMBER)}"
  folder.mkdir()
  np.save(folder / "x.npy", x, allow_pickle=False)
  options = {
    "objective": objective,
    "data.path": folder / "x.npy",
    "fixed.num_epochs": 1,
    "sweep.latent_size": 2,
    "sweep.seed": 0,
  }
  if num_classes is not None and x.ndim:
    labels = np.arange(len(x)) % num_classes
    np.save(folder / "labels.npy", labels)
    options["data.labels_path"] = folder / "labels.npy"
  options |= {name: draw.draw(FIELDS[name], name) for name in fields}
  argv = [f"--config.{name}={value}" for name, value in options.items()]
  code, out, err = 0, io.StringIO(), io.StringIO()
  with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
    try:
      sweep.main(["sweep.py", f"--workdir={folder / 'run'}", *argv])
    except SystemExit as exit:
      code = exit.code
  if code:
    assert code == 2
    (line,) = err.getvalue().splitlines()
    assert line.startswith("error: ")
    assert not (folder / "run").exists()
    return
  rows = results.read_rows(folder / "run")
  assert rows
  assert (folder / "run" / report.REPORT).exists()
  for trial_id, row in rows.items():
    trained = ae_jax.load(folder / "run", trial_id)
    size = int(row["latent_size"])
    assert trained.decode(np.zeros((3, size))).shape == (3, *x.shape[1:])
    if row["status"] == "ok":
      for name in ("loss", "train_squared_error", "test_squared_error"):
        assert np.isfinite(float(row[name])), name
