"""What does not fit the memory is trained in smaller parts, or not at all."""

import jax
import numpy as np
import pytest
from small_sweeps import DIGITS, HIDDEN, SHORT, SOLO, run

from ae_jax import grid
from ae_jax.engine import training_loop
from ae_jax.engine.autotune import OutOfMemory
from ae_jax.engine.input_pipeline import InMemory
from ae_jax.engine.placement import Placement
from ae_jax.engine.program import compile_program
from ae_jax.executors import local, train_groups
from ae_jax.types import UsageError


def test_training_a_group_in_parts_changes_no_result():
  points = [SHORT | p for p in grid.product(latent_size=(2, 9), seed=range(5))]
  trials = grid.resolve(points)
  pipeline = InMemory(DIGITS)
  whole = compile_program(trials, pipeline, Placement(2, 8))
  two = compile_program(trials, pipeline, Placement(2, 1))
  assert two.memory_bytes < whole.memory_bytes
  sizes = []

  def count(trials, epoch, terms):
    if epoch == 1:
      sizes.append(len(trials))
    assert all(len(term) == len(trials) for term in terms.values())

  uncut = run(points)
  cut = run(
    points,
    memory_gb=two.memory_bytes * 1.05e-9,
    on_epoch=count,
  )
  assert sizes == [2] * 5
  for a, b in zip(uncut, cut, strict=True):
    jax.tree.map(
      lambda x, y: np.testing.assert_allclose(x, y, **SOLO),
      (a.params, a.history),
      (b.params, b.history),
    )


def test_memory_for_the_state_alone_trains_one_trial_at_a_time():
  points = [HIDDEN | {"seed": seed} for seed in (0, 1)]
  sizes = []
  run(
    points,
    memory_gb=40e-6,  # parameters and moments: 2,476 x 3 x 4 bytes
    on_epoch=lambda trials, epoch, terms: sizes.append(len(trials)),
  )
  assert sizes == [1] * 6


def test_a_trial_that_cannot_fit_the_memory_is_told_before_training():
  with pytest.raises(UsageError, match=r"takes 1.* GB .*0\.001 GB are given"):
    run([{"latent_size": 10**6}], memory_gb=1e-3)


def let_fail(monkeypatch, message, most=1):
  """Programs of more than so many trials fail; returns the tried sizes."""
  tried = []

  def failing(program, part, *arguments):
    tried.append(program.placement.size)
    if program.placement.size > most:
      raise jax.errors.JaxRuntimeError(message)
    return training_loop.train(program, part, *arguments)

  monkeypatch.setattr(local, "train", failing)
  return tried


def test_out_of_memory_halves_the_program_down_to_one_trial(monkeypatch):
  points = [SHORT | {"seed": seed} for seed in range(5)]
  expected = run(points)
  tried = let_fail(monkeypatch, "RESOURCE_EXHAUSTED: Out of memory")
  monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
  results = run(points)
  assert tried == [8, 4, 2, 1, 1, 1, 1, 1]
  for one, other in zip(results, expected, strict=True):
    assert one.row["id"] == other.row["id"]
    jax.tree.map(
      lambda x, y: np.testing.assert_allclose(x, y, **SOLO),
      one.params,
      other.params,
    )


def test_out_of_memory_on_a_cpu_ends_the_process_with_a_smaller_placement(
  monkeypatch,
):
  points = [SHORT | {"seed": seed} for seed in range(5)]
  trials, pipeline, placements = grid.resolve(points), InMemory(DIGITS), {}
  options = {"memory_bytes": 10**9, "placements": placements}
  message = "INTERNAL: Error dispatching computation: Out of memory"
  for tried in ([8], [4], [2]):
    assert let_fail(monkeypatch, message) == []
    with pytest.raises(OutOfMemory, match="in a new process") as raised:
      next(train_groups(trials, pipeline, **options))
    assert placements == {raised.value.key: raised.value.placement}
    assert raised.value.placement.size == tried[0] // 2
  tried = let_fail(monkeypatch, message)
  assert len([*train_groups(trials, pipeline, **options)]) == 5
  assert tried == [1] * 5


def test_one_trial_in_a_wide_program_is_halved_too(monkeypatch):
  points = [SHORT | {"seed": seed} for seed in range(9)]
  tried = let_fail(monkeypatch, "RESOURCE_EXHAUSTED", most=2)
  monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
  trials, pipeline = grid.resolve(points), InMemory(DIGITS)
  done = {trial.id for trial in trials[1:]}
  options = {"memory_bytes": 10**9, "done": done}
  (trained,) = train_groups(trials, pipeline, **options)
  assert len(trained.ids) == 1
  assert tried == [16, 8, 4, 2]


def test_one_trial_that_does_not_fit_is_told(monkeypatch):
  let_fail(monkeypatch, "Out of memory allocating 9 bytes", most=0)
  with pytest.raises(UsageError, match="one trial of autoencoder does not fit"):
    run([SHORT])


def test_other_failures_of_the_device_are_raised(monkeypatch):
  let_fail(monkeypatch, "INTERNAL: the device is lost", most=0)
  with pytest.raises(jax.errors.JaxRuntimeError, match="device is lost"):
    run([SHORT])
