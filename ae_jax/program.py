"""Trials of one group as one compiled program: `jit(vmap(...))`."""

import math
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ae_jax.grid import Trial
from ae_jax.networks import Spec
from ae_jax.training import Hyper, Trainer, trainer
from ae_jax.types import Array, Key, Params

OnEpoch = Callable[[list[Trial], int, dict[str, np.ndarray]], None]


class Chunk(NamedTuple):
  """What one run of a program has trained.

  Attributes:
    trials: its trials, in the order of the leading axis of all that follows.
    spec: of the network, its code padded to the largest of the group.
    params: `[trials, ...]`, padded.
    history: term -> `[trials, num_epochs]`, means over each epoch.
    diverged_at: `[trials]`, the step from 0; -1: none.
    num_steps: of each trial.
    seconds: of training, without compilation, all trials together.
  """

  trials: list[Trial]
  spec: Spec
  params: Params
  history: dict[str, np.ndarray]
  diverged_at: np.ndarray
  num_steps: int
  seconds: float


class Program(NamedTuple):
  """Compiled functions for `size` trials at once.

  Attributes:
    size: number of trials.
    spec: of the network, its code padded to the largest of the group.
    init: (keys, hyper) -> state.
    epoch: (state, hyper, train) -> (state, terms); `state` is donated.
    memory_bytes: what the larger of them takes, its arguments included.
  """

  size: int
  spec: Spec
  init: Any
  epoch: Any
  memory_bytes: int


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


def build(group: list[Trial], train: Array | np.ndarray) -> Trainer:
  """The trainer that all trials of a group share."""
  first = group[0]
  return trainer(
    first.objective,
    padded_spec(group, train.shape[1:]),
    num_epochs=first.settings["num_epochs"],
    batch_size=first.settings["batch_size"],
    schedule=first.schedule(len(train)),
  )


def compile_program(group: list[Trial], train: Array, size: int) -> Program:
  """Compiles the program that trains `size` trials of a group at once."""
  one = build(group, train)
  keys, hyper = stack(group[:size])
  init = jax.jit(jax.vmap(one.init)).lower(keys, hyper).compile()
  state = jax.eval_shape(jax.vmap(one.init), keys, hyper)
  epoch = (
    jax.jit(jax.vmap(one.epoch, in_axes=(0, 0, None)), donate_argnums=0)
    .lower(state, hyper, train)
    .compile()
  )
  return Program(
    size=size,
    spec=padded_spec(group, train.shape[1:]),
    init=init,
    epoch=epoch,
    memory_bytes=max(_memory_bytes(init), _memory_bytes(epoch)),
  )


def fit_program(group: list[Trial], train: Array, memory_bytes: int) -> Program:
  """Compiles the largest program that stays within the memory.

  The size is the whole group, or a fair share of it; one trial is taken even
  where it needs more.
  """
  num_chunks, size = 1, len(group)
  while True:
    program = compile_program(group, train, size)
    if program.memory_bytes <= memory_bytes or size == 1:
      return program
    # Memory is about linear in the trials; one more chunk at the least.
    excess = (program.memory_bytes - train.nbytes) / max(
      memory_bytes - train.nbytes, 1
    )
    num_chunks = min(
      max(num_chunks + 1, math.ceil(num_chunks * excess)), len(group)
    )
    size = -(-len(group) // num_chunks)


def run_program(
  program: Program,
  trials: list[Trial],
  train: Array,
  on_epoch: OnEpoch | None = None,
) -> Chunk:
  """Trains up to `program.size` trials of its group."""
  # Repeats of the last trial fill the program up; their results are dropped.
  filled = trials + trials[-1:] * (program.size - len(trials))
  keys, hyper = stack(filled)

  def kept(tree: Any) -> Any:
    return jax.tree.map(lambda x: np.asarray(x)[: len(trials)], tree)

  start = time.perf_counter()
  state = program.init(keys, hyper)
  epochs = []
  for epoch in range(trials[0].settings["num_epochs"]):
    state, terms = program.epoch(state, hyper, train)
    epochs.append(kept(terms))
    if on_epoch is not None:
      on_epoch(trials, epoch + 1, epochs[-1])
  seconds = time.perf_counter() - start
  return Chunk(
    trials=trials,
    spec=program.spec,
    params=kept(state.params),
    history={
      name: np.stack([terms[name] for terms in epochs], axis=1)
      for name in sorted(epochs[0], key=lambda name: (name != "loss", name))
    },
    diverged_at=kept(state.diverged_at),
    num_steps=int(state.step[0]),
    seconds=seconds,
  )


def _memory_bytes(compiled: Any) -> int:
  analysis = compiled.memory_analysis()
  return (
    analysis.argument_size_in_bytes
    + analysis.output_size_in_bytes
    + analysis.temp_size_in_bytes
    - analysis.alias_size_in_bytes
  )
