"""Snapshots of trials in training: found again, whole, or passed over."""

import shutil

import jax
import numpy as np
import pytest

from ae_jax import grid
from ae_jax.engine.input_pipeline import InMemory
from ae_jax.engine.program import Placement, compile_program
from ae_jax.engine.training_loop import TrainingLoop, run_program
from ae_jax.run_folder.snapshots import FOLDER, Unfinished

ROWS = np.random.default_rng(0).uniform(size=(70, 6)).astype(np.float32)
FEED = InMemory(ROWS)
TRIALS = grid.resolve(
  {"objective": "denoising", "batch_size": 16, "num_epochs": 5} | point
  for point in grid.product(seed=(0, 1, 2), latent_size=(2,))
)
NUM_STEPS = 5 * 4


@pytest.fixture(scope="module")
def program():
  return compile_program(TRIALS, FEED, Placement(2, 2))


@pytest.fixture(scope="module")
def whole(program):
  return run_program(program, TRIALS, FEED)


def trained_for(program, num_steps):
  run = TrainingLoop(program, TRIALS, FEED)
  while run.num_done < num_steps:
    run.advance(num_steps - run.num_done)
  return run


@pytest.fixture
def unfinished(tmp_path, open_workdir):
  open_workdir(tmp_path)
  damaged = []
  unfinished = Unfinished(tmp_path, 60.0, damaged.append)
  unfinished.damaged = damaged
  return unfinished


def go_on(program, snapshot):
  return run_program(program, TRIALS, FEED, snapshot=snapshot)


def check_equal(chunk, other):
  jax.tree.map(
    np.testing.assert_array_equal,
    (chunk.params, chunk.history, chunk.diverged_at),
    (other.params, other.history, other.diverged_at),
  )


@pytest.mark.parametrize("num_steps", [1, 4, 7, NUM_STEPS])
def test_going_on_changes_no_bit(program, whole, unfinished, num_steps):
  unfinished.save(trained_for(program, num_steps))
  snapshot = unfinished.find(program, TRIALS)
  assert snapshot.num_done == num_steps
  epochs = []
  chunk = run_program(
    program, TRIALS, FEED, lambda _, n, terms: epochs.append(n), None, snapshot
  )
  check_equal(chunk, whole)
  assert epochs == [*range(num_steps // 4 + 1, 6)]
  assert chunk.seconds > snapshot.seconds


def test_each_chunk_keeps_its_own_last_two(program, unfinished):
  other = program._replace(placement=Placement(1, 4))
  for num_steps in (15, 18):
    run = trained_for(program, num_steps)
    run.program = other
    unfinished.save(run)
  unfinished.save(trained_for(program, 7))
  assert unfinished.find(program, TRIALS).num_done == 7
  unfinished.save(trained_for(program, 9))
  assert unfinished.find(program, TRIALS).num_done == 9
  assert unfinished.find(other, TRIALS).num_done == 18
  unfinished.clear()
  assert unfinished.find(other, TRIALS) is None
  assert unfinished.find(program, TRIALS).num_done == 9


def test_a_state_of_other_shapes_is_not_taken(program, unfinished):
  unfinished.save(trained_for(program, 3))
  state = program.state._replace(step=jax.ShapeDtypeStruct((7,), "int32"))
  assert unfinished.find(program._replace(state=state), TRIALS) is None
  assert unfinished.damaged == []


def test_a_snapshot_is_kept_when_the_last_one_is_old(
  program, whole, tmp_path, open_workdir
):
  always, never = (
    Unfinished(tmp_path / name, seconds, print)
    for name, seconds in (("a", 0.0), ("b", 60.0))
  )
  for name in "ab":
    open_workdir(tmp_path / name)
  for unfinished in always, never:
    chunk = run_program(program, TRIALS, FEED, None, unfinished.keep)
    check_equal(chunk, whole)
  assert len([*(tmp_path / "a" / FOLDER).iterdir()]) == 2
  assert not (tmp_path / "b" / FOLDER).exists()
  always.clear_all()
  never.clear_all()
  assert not (tmp_path / "a" / FOLDER).exists()


def test_snapshots_of_others_are_not_taken(
  program, unfinished, tmp_path, open_workdir
):
  unfinished.save(trained_for(program, 3))
  foreign = Unfinished(tmp_path / "other", 60.0, print)
  open_workdir(tmp_path / "other", data="other")
  shutil.copytree(tmp_path / FOLDER, tmp_path / "other" / FOLDER)
  assert foreign.find(program, TRIALS) is None
  assert unfinished.find(program, TRIALS[:2]) is None
  other = program._replace(placement=Placement(1, 4))
  assert unfinished.find(other, TRIALS) is None
  assert unfinished.damaged == []


@pytest.mark.parametrize(
  "damage",
  [
    lambda x: b"",
    lambda x: x[: len(x) // 2],
    lambda x: x[:-1],
    *(
      lambda x, at=at: (
        x[: int(at * len(x))]
        + bytes([x[int(at * len(x))] ^ 16])
        + x[int(at * len(x)) + 1 :]
      )
      for at in np.linspace(0.02, 0.98, 25)
    ),
  ],
)
def test_a_damaged_snapshot_is_told_and_the_one_before_taken(
  program, whole, unfinished, tmp_path, damage
):
  unfinished.save(trained_for(program, 3))
  unfinished.save(trained_for(program, 9))
  newest = max((tmp_path / FOLDER).iterdir())
  newest.write_bytes(damage(newest.read_bytes()))
  snapshot = unfinished.find(program, TRIALS)
  check_equal(go_on(program, snapshot), whole)
  if snapshot is None or snapshot.num_done == 3:
    (line,) = unfinished.damaged
    assert str(newest) in line
    assert "\n" not in line


def test_a_bit_flipped_anywhere_is_never_read(program, unfinished, tmp_path):
  unfinished.save(trained_for(program, 3))
  whole = unfinished.find(program, TRIALS)
  (path,) = (tmp_path / FOLDER).iterdir()
  content = path.read_bytes()
  rng = np.random.default_rng(0)
  # Most of them where the names are, at the end.
  places = np.concatenate(
    [
      rng.integers(0, len(content), 500),
      len(content) - rng.integers(1, 6000, 1500),
    ]
  )
  for at, bit in zip(places, rng.integers(0, 8, len(places)), strict=True):
    flipped = bytearray(content)
    flipped[at] ^= 1 << bit
    path.write_bytes(flipped)
    unfinished.damaged.clear()
    found = unfinished.find(program, TRIALS)
    if found is None:
      continue
    assert not unfinished.damaged
    jax.tree.map(np.testing.assert_array_equal, found, whole)
