"""How trials are placed changes speed and memory, and no result."""

import csv
import os
import subprocess
import sys

import jax
import numpy as np
import pytest
from small_sweeps import SOLO

from ae_jax import grid
from ae_jax.engine import autotune
from ae_jax.engine.autotune import choose
from ae_jax.engine.input_pipeline import InMemory
from ae_jax.engine.placement import Placement, first_placement
from ae_jax.engine.program import clear_cache, compile_program
from ae_jax.engine.training_loop import train

ROWS = np.random.default_rng(0).uniform(size=(200, 30)).astype(np.float32)
PIPELINE = InMemory(ROWS)
SHORT = {"num_epochs": 3, "batch_size": 16, "widths": (16,)}
MEMORY = 10**9


def trials_of(**axes):
  return grid.resolve([SHORT | point for point in grid.product(**axes)])


TRIALS = trials_of(seed=(0, 1, 2), latent_size=(2, 5))


@pytest.mark.parametrize(
  "other", [Placement(1, 1), Placement(1, 6), Placement(2, 1), Placement(2, 2)]
)
def test_every_placement_gives_the_same_results(other):
  whole = train(
    compile_program(TRIALS, PIPELINE, Placement(2, 4)), TRIALS, PIPELINE
  )
  compiled = compile_program(TRIALS, PIPELINE, other)
  for start in range(0, len(TRIALS), other.size):
    part = TRIALS[start : start + other.size]
    again = train(compiled, part, PIPELINE)
    assert again.ids == [trial.id for trial in part]
    rows = slice(start, start + len(part))
    jax.tree.map(
      lambda x, y, rows=rows: np.testing.assert_allclose(x, y[rows], **SOLO),
      (again.params, again.history),
      (whole.params, whole.history),
    )


def test_the_length_of_a_call_changes_no_bit(monkeypatch):
  compiled = compile_program(TRIALS, PIPELINE, Placement(2, 2))
  whole = train(compiled, TRIALS[:4], PIPELINE)
  monkeypatch.setattr(
    "ae_jax.engine.training_loop._CALL_SECONDS", 0.0
  )  # a step a call
  steps = train(compiled, TRIALS[:4], PIPELINE)
  jax.tree.map(
    np.testing.assert_array_equal,
    (whole.params, whole.history),
    (steps.params, steps.history),
  )


def log_determinant(model, params, key, batch):
  z = model.encode(params, batch)
  gram = z.T @ z + jax.numpy.eye(z.shape[-1])
  return jax.numpy.sum(jax.numpy.log(jax.numpy.linalg.eigvalsh(gram))), {}


def with_callback(model, params, key, batch):
  loss = jax.numpy.mean(model.decode(params, model.encode(params, batch)) ** 2)
  shape = jax.ShapeDtypeStruct((), np.float32)
  one = jax.pure_callback(
    lambda x: np.float32(1), shape, 1.0, vmap_method="sequential"
  )
  return loss * one, {}


@pytest.mark.parametrize("objective", [log_determinant, with_callback])
def test_what_would_wait_for_itself_on_two_devices_has_one(objective):
  trials = trials_of(objective=(objective,), seed=range(4))
  compiled = compile_program(trials, PIPELINE, Placement(2, 2))
  if jax.default_backend() == "cpu":
    assert compiled.placement == Placement(1, 4)
  assert np.isfinite(train(compiled, trials, PIPELINE).history["loss"]).all()


def test_the_first_placement_fills_devices_then_caches():
  assert jax.local_device_count() == 2
  assert first_placement(TRIALS[:1], PIPELINE) == Placement(1, 1)
  assert first_placement(TRIALS[:3], PIPELINE) == Placement(2, 2)
  many = trials_of(seed=range(300))
  assert first_placement(many, PIPELINE) == Placement(2, 32)  # 21 KB a trial
  wide = grid.resolve([{"widths": (2000, 2000), "seed": s} for s in range(9)])
  assert first_placement(wide, PIPELINE) == Placement(2, 2)


def test_a_short_group_is_not_measured():
  known = {}
  choice = choose(TRIALS, PIPELINE, MEMORY, known)
  assert choice.seconds == {}
  assert [*known.values()] == [choice.program.placement]


def test_a_long_group_takes_the_fastest_that_was_measured(monkeypatch):
  monkeypatch.setattr(autotune, "_WORTH_SECONDS", 0.0)
  real = compile_program(TRIALS, PIPELINE, Placement(1, 1))
  monkeypatch.setattr(
    autotune,
    "compile_program",
    lambda group, pipeline, placement: real._replace(placement=placement),
  )
  trials = trials_of(seed=range(40))
  speed = {  # seconds a trial-step by placement, as a machine might have it
    Placement(2, 32): 4.0,
    Placement(2, 16): 2.0,
    Placement(2, 8): 1.0,
    Placement(2, 4): 0.95,
  }
  monkeypatch.setattr(
    autotune, "_measure", lambda p, *args, **kwargs: speed[p.placement]
  )
  known = {}
  choice = choose(trials, PIPELINE, MEMORY, known)
  assert choice.program.placement == Placement(2, 8)  # 5% are no gain
  assert choice.seconds == speed
  assert [*known.values()] == [Placement(2, 8)]
  again = choose(trials, PIPELINE, MEMORY, known)
  assert again.program.placement == Placement(2, 8)
  assert again.seconds == {}


@pytest.mark.slow
def test_real_measuring_ends_with_a_program_that_trains(monkeypatch):
  monkeypatch.setattr(autotune, "_WORTH_SECONDS", 0.0)
  monkeypatch.setattr(autotune, "_ROUND_SECONDS", 0.0)
  choice = choose(TRIALS, PIPELINE, MEMORY, {})
  assert len(choice.seconds) >= 2
  assert all(seconds > 0 for seconds in choice.seconds.values())
  size = choice.program.placement.size
  whole = train(choice.program, TRIALS[:size], PIPELINE)
  assert np.isfinite(whole.history["loss"]).all()


def sweep_digits(workdir, cache, *flags, devices="2"):
  """Runs the program in a process of its own."""
  subprocess.run(
    [
      *(sys.executable, "experiments/sweep.py", f"--workdir={workdir}"),
      *("--config.objective=sparse", "--config.fixed.num_epochs=2"),
      *("--config.metrics=", *flags),
    ],
    check=True,
    capture_output=True,
    env=os.environ
    | {
      "JAX_COMPILATION_CACHE_DIR": str(cache),
      "JAX_NUM_CPU_DEVICES": devices,
      "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    },
  )
  with (workdir / "results.csv").open() as file:
    return {row["id"]: row for row in csv.DictReader(file)}


def test_a_wider_grid_shares_the_program():
  clear_cache()
  axes = {"objective": ("sparse",), "strength": range(1, 8)}
  narrow = trials_of(**axes, latent_size=(4, 8))
  wide = narrow + trials_of(**axes, latent_size=(2,))[:2]
  first = choose(narrow, PIPELINE, MEMORY, {}).program
  second = choose(wide, PIPELINE, MEMORY, {}).program
  assert first.seconds > 0
  assert second.seconds == 0
  assert second.steps is first.steps


@pytest.mark.slow
def test_eight_devices_give_the_same_table(tmp_path):
  flags = "--config.sweep.latent_size=2,8", "--config.sweep.strength=0.1,0.2,1"
  two, eight = (
    sweep_digits(tmp_path / n, tmp_path / "cache", *flags, devices=n)
    for n in "28"
  )
  assert len(two) == 12
  assert [*two] == [*eight]
  for a, b in zip(two.values(), eight.values(), strict=True):
    for name in ("status", "latent_size", "seed", "strength"):
      assert a[name] == b[name]
    for name in ("loss", "reconstruction", "test_squared_error"):
      np.testing.assert_allclose(float(a[name]), float(b[name]), rtol=1e-4)
