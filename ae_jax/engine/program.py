"""Trials of one group as one compiled program: `jit(shard_map(vmap(...)))`."""

import math
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ae_jax.engine.input_pipeline import InputPipeline
from ae_jax.engine.sharding import needs_one_device, shard_over_trials
from ae_jax.grid import Trial
from ae_jax.networks import Spec
from ae_jax.schedules import Hyper
from ae_jax.training import Data, Trainer, TrainState, batching, trainer
from ae_jax.types import Array, Key, Terms


class Placement(NamedTuple):
  """How many trials a program trains at once, and where.

  Attributes:
    devices: that the trials are spread over. A CPU is one device, or as many
      as `jax_num_cpu_devices` says.
    trials_per_device: trials of each device, vmapped.
  """

  devices: int
  trials_per_device: int

  @property
  def size(self) -> int:
    """Trials at once."""
    return self.devices * self.trials_per_device


class Program(NamedTuple):
  """Compiled functions for `placement.size` trials at once.

  Attributes:
    placement: of its trials.
    spec: of the network, its code padded to the largest of the group.
    num_epochs: of each trial.
    steps_per_epoch: minibatches.
    batch_size: as the settings have it.
    num_seeds: how many orders of the examples it takes.
    max_steps: how many steps a call takes at most.
    state: shapes and types of the state.
    init: (keys, hyper) -> state.
    steps: (state, hyper, which, rows, orders, num_steps) -> (state, terms);
      `state` is donated. `which` `[trials]` says whose order a trial takes.
    memory_bytes: what it takes, arguments included, of the memory of each
      device; the devices of a CPU have one.
    seconds: that compiling took.
  """

  placement: Placement
  spec: Spec
  num_epochs: int
  steps_per_epoch: int
  batch_size: int
  num_seeds: int
  max_steps: int
  state: TrainState
  init: Callable[[Key, Hyper], TrainState]
  steps: Callable[..., tuple[TrainState, Terms]]
  memory_bytes: int
  seconds: float


def stack(trials: Sequence[Trial]) -> tuple[Key, Hyper]:
  """The keys and traced hyper-parameters of trials of one group, stacked."""
  seeds = np.array([trial.settings["seed"] for trial in trials], np.uint32)
  hyper = {
    name: jnp.array(
      [trial.hyper[name] for trial in trials],
      jnp.int32 if name == "latent_size" else jnp.float32,
    )
    for name in trials[0].hyper
  }
  return jax.vmap(jax.random.key)(seeds), hyper


def padded_spec(group: list[Trial], features: tuple[int, ...]) -> Spec:
  """The network that all trials of a group share, padded to the largest."""
  latent_size = max(trial.settings["latent_size"] for trial in group)
  return group[0].spec(features, latent_size)


def build(
  group: list[Trial],
  features: tuple[int, ...],
  num_examples: int,
  binarize: bool = False,
) -> Trainer:
  """The trainer that all trials of a group share."""
  first = group[0]
  return trainer(
    first.objective,
    padded_spec(group, features),
    num_epochs=first.settings["num_epochs"],
    batch_size=first.settings["batch_size"],
    at_step=first.at_step(num_examples),
    binarize=binarize,
  )


def compile_program(
  group: list[Trial], pipeline: InputPipeline, placement: Placement
) -> Program:
  """Compiles the program that trains `placement.size` trials of a group at once.

  No device waits for another: each is given its own trials and all rows.
  """
  begin = time.perf_counter()
  settings = group[0].settings
  size, steps_per_epoch = batching(
    pipeline.num_examples, settings["batch_size"]
  )
  seeds = {trial.settings["seed"] for trial in group}
  num_seeds = min(len(seeds), placement.size)
  max_steps = min(
    pipeline.max_steps(num_seeds, settings["batch_size"]),
    steps_per_epoch * settings["num_epochs"],
  )
  if settings["network"] == "conv" and jax.default_backend() == "cpu":
    max_steps = 1  # XLA's convolutions are 5 times as slow in a loop there
  one = build(
    group, pipeline.features, pipeline.num_examples, pipeline.binarize
  )

  def steps(
    state: TrainState,
    hyper: Hyper,
    which: Array,
    rows: Data,
    orders: Array,
    num_steps: Array,
  ) -> tuple[TrainState, Terms]:
    def of_trial(
      state: TrainState, hyper: Hyper, which: Array
    ) -> tuple[TrainState, Terms]:
      return one.steps(state, hyper, rows, orders[which], num_steps)

    return jax.vmap(of_trial)(state, hyper, which)

  rows = pipeline.rows(num_seeds, settings["batch_size"])
  keys, hyper = stack((group * placement.size)[: placement.size])
  state = jax.eval_shape(jax.vmap(one.init), keys, hyper)
  lowered = shard_over_trials(
    steps, placement.devices, 3, 3, donate_argnums=0
  ).lower(
    state,
    hyper,
    jax.ShapeDtypeStruct((placement.size,), jnp.int32),
    rows,
    jax.ShapeDtypeStruct((num_seeds, max_steps, size), jnp.int32),
    jax.ShapeDtypeStruct((), jnp.int32),
  )
  if placement.devices > 1 and needs_one_device(lowered):
    return compile_program(group, pipeline, Placement(1, placement.size))
  init = shard_over_trials(jax.vmap(one.init), placement.devices, 2, 0)
  compiled_init = init.lower(keys, hyper).compile()
  compiled = lowered.compile()
  memory_bytes = _memory_bytes(compiled)
  if jax.default_backend() == "cpu":  # one memory, in which they share the rows
    row_bytes = sum(
      math.prod(x.shape) * x.dtype.itemsize for x in jax.tree.leaves(rows)
    )
    memory_bytes = placement.devices * (memory_bytes - row_bytes) + row_bytes
  return Program(
    placement=placement,
    spec=padded_spec(group, pipeline.features),
    num_epochs=settings["num_epochs"],
    steps_per_epoch=steps_per_epoch,
    batch_size=settings["batch_size"],
    num_seeds=num_seeds,
    max_steps=max_steps,
    state=state,
    init=compiled_init,
    steps=compiled,
    memory_bytes=memory_bytes,
    seconds=time.perf_counter() - begin,
  )


def _memory_bytes(compiled: Any) -> int:
  memory = compiled.memory_analysis()
  return (
    memory.argument_size_in_bytes
    + memory.output_size_in_bytes
    + memory.temp_size_in_bytes
    - memory.alias_size_in_bytes
  )
