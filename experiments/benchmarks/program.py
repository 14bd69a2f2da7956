"""Training as a sweep runs it, ready to be timed."""

import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ae_jax import grid
from ae_jax.program import build, stack
from ae_jax.types import Array
from experiments.benchmarks.timing import Work


class Training(NamedTuple):
  """The trials of one group, compiled.

  Attributes:
    compile_seconds: of all its functions.
    memory_bytes: what the program takes by XLA's count, its arguments
      included.
    temporary_bytes: what of these is there only while it runs.
    runs: of the program, one after the other, until all trials are trained.
    train: trains all trials for that many steps.
  """

  compile_seconds: float
  memory_bytes: int
  temporary_bytes: int
  runs: int
  train: Work


def prepare(points: Sequence[grid.Point], data: np.ndarray | Array) -> Training:
  """Compiles the program of a grid whose points share it."""
  group = grid.resolve(points)
  examples = jnp.asarray(data)
  one = build(group, examples)
  keys, hyper = stack(group)
  size = group[0].settings["batch_size"]
  order = jax.random.randint(jax.random.key(0), (64, size), 0, len(data))

  def steps(state, hyper, examples, order, num_steps):
    return jax.lax.fori_loop(
      0,
      num_steps,
      lambda i, state: one.step(state, examples[order[i % len(order)]], hyper)[
        0
      ],
      state,
    )

  start = time.perf_counter()
  state = jax.jit(jax.vmap(one.init))(keys, hyper)
  compiled = (
    jax.jit(jax.vmap(steps, in_axes=(0, 0, None, None, None)), donate_argnums=0)
    .lower(state, hyper, examples, order, 1)
    .compile()
  )
  compile_seconds = time.perf_counter() - start
  analysis: Any = compiled.memory_analysis()
  carried = [state]

  def train(num_steps: int) -> None:
    carried[0] = compiled(carried[0], hyper, examples, order, num_steps)
    jax.block_until_ready(carried[0].params)

  return Training(
    compile_seconds,
    analysis.argument_size_in_bytes
    + analysis.output_size_in_bytes
    + analysis.temp_size_in_bytes
    - analysis.alias_size_in_bytes,
    analysis.temp_size_in_bytes,
    1,
    train,
  )


def prepare_loop(
  points: Sequence[grid.Point], data: np.ndarray | Array
) -> Work:
  """The same trials by a Python loop over one jitted, vmapped step."""
  group = grid.resolve(points)
  examples = jnp.asarray(data)
  one = build(group, examples)
  keys, hyper = stack(group)
  size = group[0].settings["batch_size"]
  order = np.random.default_rng(0).integers(
    0, len(data), (64, len(group), size)
  )
  step = jax.jit(
    jax.vmap(
      lambda state, indices, hyper, examples: one.step(
        state, examples[indices], hyper
      ),
      in_axes=(0, 0, 0, None),
    ),
    donate_argnums=0,
  )
  carried = [jax.jit(jax.vmap(one.init))(keys, hyper)]

  def train(num_steps: int) -> None:
    state = carried[0]
    for i in range(num_steps):
      state, _ = step(state, order[i % len(order)], hyper, examples)
    carried[0] = jax.block_until_ready(state)

  return train
