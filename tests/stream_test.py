"""Data larger than memory train as data in memory do."""

import jax
import numpy as np
import pytest

from ae_jax import data, grid, run_sweep
from ae_jax.cli import sweep as program
from ae_jax.data import on_disk
from ae_jax.data.on_disk import OnDisk
from ae_jax.engine.input_pipeline import InMemory, Streamed, input_pipeline
from ae_jax.engine.program import Placement, compile_program
from ae_jax.engine.training_loop import train
from ae_jax.types import UsageError

RNG = np.random.default_rng(0)
BYTES = RNG.integers(0, 256, (500, 5, 4)).astype(np.uint8)


@pytest.fixture(params=["<f4", ">f8", "u1", "i2", "?"])
def stored(request, tmp_path):
  """A file of some type, and its rows."""
  rows = (BYTES if request.param != "?" else BYTES % 2).astype(request.param)
  np.save(tmp_path / "x.npy", rows)
  return tmp_path / "x.npy", rows


def test_rows_are_those_of_the_file_without_what_is_left_out(stored):
  path, rows = stored
  left_out = [0, 1, 7, 499]
  there = np.delete(rows, left_out, axis=0)
  on = OnDisk(path, left_out)
  assert on.shape == there.shape
  indices = np.array([0, 3, 5, 4, 495, 3], np.int32)
  np.testing.assert_array_equal(on[indices], there[indices])
  np.testing.assert_array_equal(on[np.arange(len(on))], there)


def test_a_streamed_dataset_is_a_sample_a_test_set_and_all_the_rest(
  stored, monkeypatch
):
  monkeypatch.setattr(on_disk, "_MAX_SAMPLE", 50)
  monkeypatch.setattr(on_disk, "_MAX_HELD_OUT", 20)
  path, rows = stored
  dataset = data.load(path=path, stream=True)
  sizes = len(dataset.train), len(dataset.validation), len(dataset.test)
  assert sizes == (50, 20, 20)
  assert dataset.num_train == 460
  everything = dataset.stream[np.arange(460)]
  assert everything.dtype == dataset.train.dtype
  whole = np.concatenate([everything, dataset.validation, dataset.test])
  np.testing.assert_array_equal(
    np.sort(whole.reshape(500, -1), axis=0),
    np.sort(rows.reshape(500, -1).astype(whole.dtype), axis=0),
  )
  of_stream = {row.tobytes() for row in everything}
  assert dataset.train.std() > 0
  assert all(row.tobytes() in of_stream for row in dataset.train)


def test_labels_go_with_their_rows(tmp_path, monkeypatch):
  monkeypatch.setattr(on_disk, "_MAX_SAMPLE", 50)
  np.save(tmp_path / "x.npy", np.arange(500.0)[:, None])
  np.save(tmp_path / "y.npy", np.arange(500)[:, None])
  dataset = data.load(
    path=tmp_path / "x.npy", labels_path=tmp_path / "y.npy", stream=True
  )
  np.testing.assert_array_equal(dataset.train[:, 0], dataset.train_labels)
  np.testing.assert_array_equal(dataset.test[:, 0], dataset.test_labels)
  np.testing.assert_array_equal(
    dataset.validation[:, 0], dataset.validation_labels
  )


@pytest.mark.parametrize("standardize", [False, True])
def test_the_stream_has_the_values_of_the_dataset(stored, standardize):
  path, rows = stored
  dataset = data.load(path=path, stream=True, standardize=standardize)
  everything = dataset.stream[np.arange(dataset.num_train)]
  assert everything.dtype == dataset.stream.dtype
  # The sample is all of it, in the order of the file.
  np.testing.assert_array_equal(everything, dataset.train)
  in_memory = data.from_arrays(rows, rows[:9], standardize=standardize)
  assert in_memory.train.dtype == everything.dtype
  # Of all rows and not of 400: means and deviations are near.
  assert abs(in_memory.train.mean() - everything.mean()) < 0.05 * (
    1 + abs(in_memory.train.mean())
  )


@pytest.mark.parametrize(
  ("options", "message"),
  [
    ({"seed": -1}, "seed=-1"),
    ({"test_fraction": 1.5}, "test_fraction=1.5"),
    ({"test_fraction": float("nan")}, "test_fraction=nan"),
  ],
)
def test_mistakes_are_told(tmp_path, options, message):
  np.save(tmp_path / "x.npy", BYTES)
  with pytest.raises(UsageError, match=message):
    data.load(**{"path": tmp_path / "x.npy", "stream": True} | options)


def test_what_is_streamed_is_shared_by_the_devices_of_a_cpu(tmp_path):
  np.save(tmp_path / "x.npy", BYTES)
  rows, _ = Streamed(OnDisk(tmp_path / "x.npy")).reader([0], 8, 2)(1)
  if jax.default_backend() == "cpu":
    assert (
      len({s.data.unsafe_buffer_pointer() for s in rows.addressable_shards})
      == 1
    )


@pytest.mark.parametrize("standardize", [False, True])
def test_training_from_a_file_is_training_from_memory(tmp_path, standardize):
  np.save(tmp_path / "x.npy", BYTES)
  dataset = data.load(
    path=tmp_path / "x.npy", stream=True, standardize=standardize
  )
  in_memory = InMemory(dataset.stream[np.arange(dataset.num_train)])
  streamed = input_pipeline(dataset, None)
  assert isinstance(streamed, Streamed)
  trials = grid.resolve(
    grid.product(seed=(0, 1), latent_size=(2, 4), num_epochs=(3,))
  )
  chunks = [
    train(compile_program(trials, pipeline, Placement(2, 2)), trials, pipeline)
    for pipeline in (in_memory, streamed)
  ]
  jax.tree.map(
    # The same batches in the same order; only the gather is another.
    lambda x, y: np.testing.assert_allclose(x, y, rtol=1e-5, atol=1e-6),
    (chunks[0].params, chunks[0].history),
    (chunks[1].params, chunks[1].history),
  )


def test_a_sweep_over_a_file(tmp_path):
  np.save(tmp_path / "x.npy", BYTES)
  dataset = data.load(path=tmp_path / "x.npy", stream=True)
  (trained,) = run_sweep(
    [{"num_epochs": 2}], dataset, metrics=(), progress=False
  )
  assert trained.row["status"] == "ok"
  assert trained.history["loss"].shape == (2,)
  assert np.isfinite(trained.row["test_squared_error"])


def test_a_file_that_ends_early_is_told(tmp_path):
  np.save(tmp_path / "x.npy", BYTES)
  whole = (tmp_path / "x.npy").read_bytes()
  rows = OnDisk(tmp_path / "x.npy")
  (tmp_path / "x.npy").write_bytes(whole[:-1])
  with pytest.raises(UsageError, match="ends before row 499"):
    rows[np.array([0, 499])]
  with pytest.raises(UsageError, match="damaged"):
    OnDisk(tmp_path / "x.npy")


@pytest.mark.parametrize(
  "bad",
  [np.nan, *(pytest.param(x, marks=pytest.mark.slow) for x in (np.inf, 1e300))],
)
def test_a_row_that_is_not_finite_is_told_when_it_is_read(
  tmp_path, monkeypatch, capsys, bad
):
  monkeypatch.setattr(on_disk, "_MAX_SAMPLE", 50)
  x = RNG.uniform(size=(500, 3))
  np.save(tmp_path / "x.npy", x)
  dataset = data.load(path=tmp_path / "x.npy", stream=True)
  looked_at = np.concatenate([dataset.train, dataset.test])[:, 0]
  x[~np.isin(x[:, 0].astype(np.float32), looked_at)] = bad
  np.save(tmp_path / "x.npy", x)
  with pytest.raises(SystemExit) as raised:
    program.main(
      [
        "sweep.py",
        f"--workdir={tmp_path / 'run'}",
        f"--config.data.path={tmp_path / 'x.npy'}",
        "--config.data.stream=True",
        "--config.objective=autoencoder",
        "--config.metrics=()",
      ]
    )
  assert raised.value.code == 2
  assert "NaN or infinite" in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize("fraction", [0.5, 0.9, 0.99])
def test_two_rows_are_left_to_train_on(tmp_path, fraction):
  np.save(tmp_path / "x.npy", RNG.uniform(size=(10, 3)))
  options = {"path": tmp_path / "x.npy", "test_fraction": fraction}
  streamed, in_memory = (
    data.load(**options, stream=stream) for stream in (True, False)
  )
  assert len(streamed.test) == len(in_memory.test)
  assert streamed.num_train == len(in_memory.train)


@pytest.mark.parametrize("content", [b"1, 2\n", b"", b"PK"])
def test_what_is_no_array_is_told(tmp_path, content):
  (tmp_path / "x.npy").write_bytes(content)
  with pytest.raises(UsageError, match=r"no .npy of numbers|cannot read"):
    data.load(path=tmp_path / "x.npy", stream=True)


def test_integers_that_float32_changes_are_told(tmp_path):
  np.save(tmp_path / "x.npy", np.array([[1], [2], [2**24 + 1]]))
  rows = OnDisk(tmp_path / "x.npy", dtype=np.dtype("f4"))
  np.testing.assert_array_equal(rows[np.array([1, 0])], [[2], [1]])
  with pytest.raises(UsageError, match="holds the integer 16777217"):
    rows[np.array([2])]


def test_a_file_by_columns_is_told(tmp_path):
  np.save(tmp_path / "x.npy", np.asfortranarray(BYTES))
  with pytest.raises(UsageError, match="one example after the other"):
    OnDisk(tmp_path / "x.npy")
