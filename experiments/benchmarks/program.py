"""Training as a sweep runs it, ready to be timed."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ae_jax import grid
from ae_jax.engine import input_pipeline
from ae_jax.engine.autotune import choose
from ae_jax.engine.group import group_trainer, stack
from ae_jax.engine.placement import half_of_memory
from ae_jax.engine.program import Program, clear_cache
from ae_jax.engine.training_loop import TrainingLoop
from experiments.benchmarks.timing import Work


class Training(NamedTuple):
  """The trials of one group, compiled.

  Attributes:
    program: of the placement that a sweep chooses.
    num_runs: of the program, until all trials are trained.
    work: a step of all trials; an epoch belongs together, for it begins with
      drawing an order.
  """

  program: Program
  num_runs: int
  work: Work

  @property
  def temporary_bytes(self) -> int:
    """What one device takes while the program runs, by XLA's count."""
    compiled: Any = self.program.steps
    return compiled.memory_analysis().temp_size_in_bytes


def prepare(
  points: Sequence[grid.Point], train: input_pipeline.InputPipeline
) -> Training:
  """Compiles the program of a grid whose points share it, always anew."""
  group = grid.resolve(points)
  kind = group[0].batch_kind
  own = train if kind is None else train.with_supervision(kind)
  clear_cache()  # or a program of before would take no time to compile
  program = choose(group, own, half_of_memory(), {}).program
  num_runs = -(-len(group) // program.placement.size)
  input_pipeline.orders_of.cache_clear()  # nor orders of before any to draw
  loop = TrainingLoop(program, group[: program.placement.size], own)

  def steps(num_steps: int) -> None:
    # Each part of the group takes as long as the first.
    until = loop.num_done + num_runs * num_steps
    while loop.num_done < until:
      loop.advance(until - loop.num_done)

  return Training(program, num_runs, Work(steps, program.steps_per_epoch))


def prepare_loop(points: Sequence[grid.Point], data: np.ndarray) -> Work:
  """The same trials by a Python loop over one jitted, vmapped step."""
  group = grid.resolve(points)
  one = group_trainer(group, data.shape[1:], len(data))
  keys, hyper = stack(group)
  examples = jnp.asarray(data)
  size = group[0].settings["batch_size"]
  shape = (64, len(group), size)
  order = np.random.default_rng(0).integers(0, len(data), shape)
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

  def steps(num_steps: int) -> None:
    state = carried[0]
    for i in range(num_steps):
      state, _ = step(state, order[i % len(order)], hyper, examples)
    carried[0] = jax.block_until_ready(state)

  return Work(steps)
