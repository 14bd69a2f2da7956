"""Snapshots of trials in training: found again, whole, or passed over."""

import shutil

import jax
import numpy as np
import pytest

from ae_jax import grid
from ae_jax.engine.input_pipeline import InMemory
from ae_jax.engine.placement import Placement
from ae_jax.engine.program import compile_program
from ae_jax.engine.training_loop import TrainingLoop, train
from ae_jax.run_folder.snapshots import FOLDER, Snapshots

ROWS = np.random.default_rng(0).uniform(size=(70, 6)).astype(np.float32)
PIPELINE = InMemory(ROWS)
TRIALS = grid.resolve(
  {"objective": "denoising", "batch_size": 16, "num_epochs": 5} | point
  for point in grid.product(seed=(0, 1, 2), latent_size=(2,))
)
NUM_STEPS = 5 * 4


@pytest.fixture(scope="module")
def program():
  return compile_program(TRIALS, PIPELINE, Placement(2, 2))


@pytest.fixture(scope="module")
def whole(program):
  return train(program, TRIALS, PIPELINE)


def trained_for(program, num_steps):
  run = TrainingLoop(program, TRIALS, PIPELINE)
  while run.num_done < num_steps:
    run.advance(num_steps - run.num_done)
  return run


@pytest.fixture
def snapshots(tmp_path, make_run):
  make_run(tmp_path)
  damaged = []
  snapshots = Snapshots(tmp_path, 60.0, damaged.append)
  snapshots.damaged = damaged
  return snapshots


def go_on(program, snapshot):
  return train(program, TRIALS, PIPELINE, snapshot=snapshot)


def check_equal(group, other):
  jax.tree.map(
    np.testing.assert_array_equal,
    (group.params, group.history, group.diverged_at),
    (other.params, other.history, other.diverged_at),
  )


@pytest.mark.parametrize("num_steps", [1, 4, 7, NUM_STEPS])
def test_going_on_changes_no_bit(program, whole, snapshots, num_steps):
  snapshots.save(trained_for(program, num_steps))
  snapshot = snapshots.find(program, TRIALS)
  assert snapshot.num_done == num_steps
  epochs = []
  group = train(
    program,
    TRIALS,
    PIPELINE,
    lambda _, n, terms: epochs.append(n),
    None,
    snapshot,
  )
  check_equal(group, whole)
  assert epochs == [*range(num_steps // 4 + 1, 6)]
  assert group.seconds > snapshot.seconds


def test_each_group_keeps_its_own_last_two(program, snapshots):
  other = program._replace(placement=Placement(1, 4))
  for num_steps in (15, 18):
    run = trained_for(program, num_steps)
    run.program = other
    snapshots.save(run)
  snapshots.save(trained_for(program, 7))
  assert snapshots.find(program, TRIALS).num_done == 7
  snapshots.save(trained_for(program, 9))
  assert snapshots.find(program, TRIALS).num_done == 9
  assert snapshots.find(other, TRIALS).num_done == 18
  snapshots.clear()
  assert snapshots.find(other, TRIALS) is None
  assert snapshots.find(program, TRIALS).num_done == 9


def test_a_state_of_other_shapes_is_not_taken(program, snapshots):
  snapshots.save(trained_for(program, 3))
  state = program.state._replace(step=jax.ShapeDtypeStruct((7,), "int32"))
  assert snapshots.find(program._replace(state=state), TRIALS) is None
  assert snapshots.damaged == []


def test_a_snapshot_is_kept_when_the_last_one_is_old(
  program, whole, tmp_path, make_run
):
  always, never = (
    Snapshots(tmp_path / name, seconds, print)
    for name, seconds in (("a", 0.0), ("b", 60.0))
  )
  for name in "ab":
    make_run(tmp_path / name)
  for snapshots in always, never:
    group = train(program, TRIALS, PIPELINE, None, snapshots.maybe_save)
    check_equal(group, whole)
  assert len([*(tmp_path / "a" / FOLDER).iterdir()]) == 2
  assert not (tmp_path / "b" / FOLDER).exists()
  always.remove_all()
  never.remove_all()
  assert not (tmp_path / "a" / FOLDER).exists()


def test_snapshots_of_others_are_not_taken(
  program, snapshots, tmp_path, make_run
):
  snapshots.save(trained_for(program, 3))
  foreign = Snapshots(tmp_path / "other", 60.0, print)
  make_run(tmp_path / "other", [[3.0], [4.0], [5.0]])
  shutil.copytree(tmp_path / FOLDER, tmp_path / "other" / FOLDER)
  assert foreign.find(program, TRIALS) is None
  assert snapshots.find(program, TRIALS[:2]) is None
  other = program._replace(placement=Placement(1, 4))
  assert snapshots.find(other, TRIALS) is None
  assert snapshots.damaged == []


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
  program, whole, snapshots, tmp_path, damage
):
  snapshots.save(trained_for(program, 3))
  snapshots.save(trained_for(program, 9))
  newest = max((tmp_path / FOLDER).iterdir())
  newest.write_bytes(damage(newest.read_bytes()))
  snapshot = snapshots.find(program, TRIALS)
  check_equal(go_on(program, snapshot), whole)
  if snapshot is None or snapshot.num_done == 3:
    (line,) = snapshots.damaged
    assert str(newest) in line
    assert "\n" not in line


@pytest.mark.parametrize(
  "num_flips", [400, pytest.param(4000, marks=pytest.mark.slow)]
)
def test_a_bit_flipped_anywhere_is_never_read(
  program, snapshots, tmp_path, num_flips
):
  snapshots.save(trained_for(program, 3))
  whole = snapshots.find(program, TRIALS)
  (path,) = (tmp_path / FOLDER).iterdir()
  content = path.read_bytes()
  rng = np.random.default_rng(0)
  # Most of them where the names are, at the end.
  places = np.concatenate(
    [
      rng.integers(0, len(content), num_flips // 4),
      len(content) - rng.integers(1, 6000, num_flips - num_flips // 4),
    ]
  )
  for at, bit in zip(places, rng.integers(0, 8, len(places)), strict=True):
    flipped = bytearray(content)
    flipped[at] ^= 1 << bit
    path.write_bytes(flipped)
    snapshots.damaged.clear()
    found = snapshots.find(program, TRIALS)
    if found is None:
      continue
    assert not snapshots.damaged
    jax.tree.map(np.testing.assert_array_equal, found, whole)
