"""The next group's program is compiled while one trains."""

import threading

import jax
import pytest
from small_sweeps import DIGITS, SHORT

from ae_jax import grid
from ae_jax.engine import autotune, program
from ae_jax.engine.input_pipeline import InMemory
from ae_jax.executors import train_groups

TRIALS = grid.resolve(
  [SHORT | {"objective": name} for name in ("autoencoder", "denoising")]
)


@pytest.fixture
def compiled(monkeypatch):
  """Objective -> the threads that compiled its program."""
  program.clear_cache()
  threads = {}
  real = program._compile

  def compile_it(group, *arguments):
    own = threads.setdefault(group[0].settings["objective"], [])
    own.append(threading.current_thread())
    return real(group, *arguments)

  monkeypatch.setattr(program, "_compile", compile_it)
  return threads


def train():
  return [*train_groups(TRIALS, InMemory(DIGITS), memory_bytes=10**9)]


def test_each_is_compiled_once_and_the_second_beside_the_first(compiled):
  assert [t.ids for t in train()] == [[t.id] for t in TRIALS]
  main = threading.main_thread()
  assert compiled["autoencoder"] == [main]
  (other,) = compiled["denoising"]
  assert other is not main


def test_options_of_a_context_are_those_of_its_programs(compiled):
  with jax.default_matmul_precision("highest"):
    train()
  assert compiled["denoising"] == [threading.main_thread()]


@pytest.mark.parametrize(
  ("error", "raised"),
  [
    (ValueError("of a loss"), ValueError),
    (MemoryError(), autotune.OutOfMemory),
  ],
)
def test_an_error_is_raised_in_its_turn(monkeypatch, error, raised):
  program.clear_cache()
  real = program._compile

  def fails(group, *arguments):
    if group[0].settings["objective"] == "denoising":
      raise error
    return real(group, *arguments)

  monkeypatch.setattr(program, "_compile", fails)
  more = grid.resolve([TRIALS[1].settings | {"seed": 9}])  # so it can be halved
  groups = train_groups([*TRIALS, *more], InMemory(DIGITS), memory_bytes=10**9)
  assert next(groups).ids == [TRIALS[0].id]
  with pytest.raises(raised):
    next(groups)
