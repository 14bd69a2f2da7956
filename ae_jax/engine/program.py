"""Trials of one group as one compiled program: `jit(shard_map(vmap(...)))`."""

import collections
import math
import time
from collections.abc import Callable, Hashable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from ae_jax.declarations import of_network
from ae_jax.engine.group import (
  group_trainer,
  padded_spec,
  stack,
  trainer_key,
)
from ae_jax.engine.input_pipeline import InputPipeline
from ae_jax.engine.placement import Placement
from ae_jax.epoch_order import batching
from ae_jax.minibatch import Data
from ae_jax.networks import Spec
from ae_jax.schedules import Hyper
from ae_jax.sharding import needs_one_device, shard_over_trials
from ae_jax.train_state import Trainer, TrainState
from ae_jax.trial import Trial
from ae_jax.types import Array, Key, Terms

_NUM_CACHED = 32
_OPTIONS = (  # of JAX, that a program depends on
  "jax_enable_x64",
  "jax_default_matmul_precision",
  "jax_debug_nans",
  "jax_debug_infs",
  "jax_default_prng_impl",
  "jax_threefry_partitionable",
)


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
    validate: (state, hyper, validation rows) -> (state, loss), after each
      epoch; `state` is donated. None where no epoch is judged.
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
  validate: Callable[..., tuple[TrainState, Array]] | None
  memory_bytes: int
  seconds: float


_cache: collections.OrderedDict[Hashable, Program] = collections.OrderedDict()


def clear_cache() -> None:
  """Forgets the programs that this process has compiled."""
  _cache.clear()


def compile_program(
  group: list[Trial], pipeline: InputPipeline, placement: Placement
) -> Program:
  """Compiles the program that trains `placement.size` trials of a group.

  A program that this process compiled before is taken again, with `seconds` 0.
  No device waits for another: each is given its own trials and all rows.
  """
  key = _cache_key(group, pipeline, placement)
  program = _cache.pop(key, None)
  known = program is not None
  if program is None:
    program = _compile(group, pipeline, placement)
  _cache[key] = program
  while len(_cache) > _NUM_CACHED:
    _cache.popitem(last=False)
  return program._replace(seconds=0.0) if known else program


def _compile(
  group: list[Trial], pipeline: InputPipeline, placement: Placement
) -> Program:
  begin = time.perf_counter()
  settings = group[0].settings
  size, steps_per_epoch = batching(
    pipeline.num_examples, settings["batch_size"]
  )
  num_seeds = _num_seeds(group, placement)
  max_steps = _max_steps(group, pipeline, num_seeds, steps_per_epoch)
  of_data = pipeline.features, pipeline.num_examples, pipeline.draw
  one = group_trainer(group, *of_data)
  rows = pipeline.rows(num_seeds, settings["batch_size"])
  keys, hyper = stack((group * placement.size)[: placement.size])
  init = shard_over_trials(jax.vmap(one.init), placement.devices, 2, 0)
  traced_init = init.trace(keys, hyper)
  state = _shapes(traced_init.out_info)
  lowered = shard_over_trials(
    _steps_of_trials(one), placement.devices, 3, 3, donate_argnums=0
  ).lower(
    state,
    hyper,
    jax.ShapeDtypeStruct((placement.size,), jnp.int32),
    rows,
    jax.ShapeDtypeStruct((num_seeds, max_steps, size), jnp.int32),
    jax.ShapeDtypeStruct((), jnp.int32),
  )
  if placement.devices > 1 and needs_one_device(lowered):
    return _compile(group, pipeline, Placement(1, placement.size))
  validate = None
  if group[0].stopping is not None:
    arguments = state, hyper, _shapes(pipeline.validation)
    validate = _validate_trials(one, placement, arguments)
  compiled_init = traced_init.lower().compile()
  compiled = lowered.compile()
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
    validate=validate,
    memory_bytes=_memory_bytes(compiled, rows, placement.devices),
    seconds=time.perf_counter() - begin,
  )


def _steps_of_trials(one: Trainer) -> Callable[..., tuple[TrainState, Terms]]:
  """Steps of one trial -> of all trials of a device."""

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

  return steps


def _validate_trials(
  one: Trainer, placement: Placement, arguments: tuple
) -> Callable[..., tuple[TrainState, Array]]:
  def validate(
    state: TrainState, hyper: Hyper, rows: Data
  ) -> tuple[TrainState, Array]:
    return jax.vmap(lambda state, hyper: one.validate(state, hyper, rows))(
      state, hyper
    )

  compiled = shard_over_trials(
    validate, placement.devices, 2, 1, donate_argnums=0
  )
  return compiled.lower(*arguments).compile()


def _shapes(tree: Any) -> Any:
  return jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), tree)


def _num_seeds(group: list[Trial], placement: Placement) -> int:
  seeds = {trial.settings["seed"] for trial in group}
  return min(len(seeds), placement.size)


def _max_steps(
  group: list[Trial],
  pipeline: InputPipeline,
  num_seeds: int,
  steps_per_epoch: int,
) -> int:
  settings = group[0].settings
  has_convolutions = of_network(group[0].functions["network"]).convolutions
  if has_convolutions and jax.default_backend() == "cpu":
    return 1  # XLA's convolutions are 5 times as slow in a loop there
  return min(
    pipeline.max_steps(num_seeds, settings["batch_size"]),
    steps_per_epoch * settings["num_epochs"],
  )


def _memory_bytes(compiled: Any, rows: Any, num_devices: int) -> int:
  memory = compiled.memory_analysis()
  num_bytes = (
    memory.argument_size_in_bytes
    + memory.output_size_in_bytes
    + memory.temp_size_in_bytes
    - memory.alias_size_in_bytes
  )
  if jax.default_backend() != "cpu":
    return num_bytes
  # The devices of a CPU have one memory, in which they share the rows.
  row_bytes = sum(
    math.prod(x.shape) * x.dtype.itemsize for x in jax.tree.leaves(rows)
  )
  return num_devices * (num_bytes - row_bytes) + row_bytes


def _cache_key(
  group: list[Trial], pipeline: InputPipeline, placement: Placement
) -> Hashable:
  """What a compiled program depends on."""
  first = group[0]
  num_seeds = _num_seeds(group, placement)
  return (
    *trainer_key(
      group, pipeline.features, pipeline.num_examples, pipeline.draw
    ),
    str(first.stopping and _shapes(pipeline.validation)),
    str(pipeline.rows(num_seeds, first.settings["batch_size"])),
    pipeline.max_steps(num_seeds, first.settings["batch_size"]),
    num_seeds,
    placement,
    *jax_options(),
  )


def jax_options() -> tuple:
  """Of JAX, what a compiled program depends on."""
  return tuple(getattr(jax.config, name) for name in _OPTIONS)
