"""The same training by others: PyTorch, torch.func and pythae."""

import functools
import importlib.util
from collections.abc import Callable, Iterator
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ae_jax import grid
from ae_jax.data import to_float
from ae_jax.engine.group import group_trainer, stack
from ae_jax.types import Params, UsageError
from experiments.benchmarks.problems import BATCH_SIZE, Problem
from experiments.benchmarks.program import prepare
from experiments.benchmarks.section import (
  BenchmarkSection,
  Measurement,
  Options,
  attempt,
  failed,
)
from experiments.benchmarks.timing import Work, interleaved

_STEPS_CHECKED = 20
# Sums in another order round differently: 1e-6 of the first loss. Adam then
# gives the sign of a gradient next to 0 a whole step: 3e-4 of a later loss.
_RTOL_FIRST, _RTOL = 1e-5, 5e-3


class UnequalWorkError(Exception):
  """A peer does not do what our program does; its time says nothing."""


class Peer(NamedTuple):
  """One way to train the same networks.

  Attributes:
    num_trials: networks that are trained at once.
    num_parameters: of one of them.
    losses: order `[num_trials, steps, batch]` -> loss `[num_trials, steps]`,
      as ours is defined; trains.
    work: a step of all of them.
  """

  num_trials: int
  num_parameters: int
  losses: Callable[[np.ndarray], np.ndarray]
  work: Work


def check_installed() -> None:
  """Raises UsageError unless PyTorch and pythae are there."""
  missing = [
    name
    for name in ("torch", "pythae")
    if importlib.util.find_spec(name) is None
  ]
  if missing:
    raise UsageError(
      f"--peers needs {' and '.join(missing)}, not installed here: run"
      " EXTRAS=peers ./launch.sh benchmark --peers"
    )


class Reference(NamedTuple):
  """Our networks, as the peers get them.

  Attributes:
    params: `[trials, ...]`, at initialization.
    examples: `[n, d]` float32.
    learning_rate: of Adam.
    losses: as `Peer.losses`, always from `params`.
  """

  params: Params
  examples: np.ndarray
  learning_rate: float
  losses: Callable[[np.ndarray], np.ndarray]


def reference(points: list[grid.Point], data: np.ndarray) -> Reference:
  """Our weights, data and losses of a grid whose points share a program."""
  group = grid.resolve(points)
  one = group_trainer(group, data.shape[1:], len(data))
  keys, hyper = stack(group)
  state = jax.jit(jax.vmap(one.init))(keys, hyper)
  examples = np.asarray(to_float(data))

  @jax.jit
  @jax.vmap
  def losses(state, hyper, batches):
    return jax.lax.scan(
      lambda state, batch: one.step(state, batch, hyper), state, batches
    )[1]["loss"]

  return Reference(
    params=jax.tree.map(np.asarray, state.params),
    examples=examples,
    learning_rate=group[0].settings["learning_rate"],
    losses=lambda order: np.asarray(
      losses(state, hyper, jnp.asarray(examples[order]))
    ),
  )


def check_equal_work(name: str, peer: Peer, ours: Reference) -> None:
  """Compares parameters and losses; trains the peer for 20 steps.

  Raises:
    UnequalWorkError: the numbers of parameters, or the losses at any of the
      steps from the same weights on the same batches, differ.
  """
  leaves = jax.tree.leaves(ours.params)
  count = sum(leaf[0].size for leaf in leaves)
  if peer.num_parameters != count:
    raise UnequalWorkError(
      f"{name} has {peer.num_parameters} parameters, ours has {count}"
    )
  rng = np.random.default_rng(0)
  shape = (len(leaves[0]), _STEPS_CHECKED, BATCH_SIZE)
  order = rng.integers(0, len(ours.examples), shape)
  expected = ours.losses(order)[: peer.num_trials]
  apart = np.abs(peer.losses(order[: peer.num_trials]) - expected) / expected
  for what, worst, allowed in (
    ("the first step", np.max(apart[:, 0]), _RTOL_FIRST),
    (f"{_STEPS_CHECKED} steps", np.max(apart), _RTOL),
  ):
    if not worst <= allowed:
      raise UnequalWorkError(
        f"the loss of {name} is {worst:.2g} of itself from ours in {what};"
        f" {allowed} is allowed"
      )


def _rows(options: Options) -> Iterator[Measurement]:
  mlps = {
    name: problem
    for name, problem in options.problems.items()
    if problem.settings.get("network", "mlp") == "mlp"
  }
  for name, problem in mlps.items():
    measure = functools.partial(_of_network, name, problem, options)
    yield from attempt({"network": name}, measure)


def _of_network(
  name: str, problem: Problem, options: Options
) -> Iterator[Measurement]:
  from experiments.benchmarks.torch_peers import all_peers

  num_trials = 2 if options.quick else 16
  points = problem.points(num_trials)
  ours = reference(points, problem.data())
  works = {
    f"ae_jax, {k} trials": (
      k,
      prepare(points[:k], problem.input_pipeline()).work,
    )
    for k in (num_trials, 1)
  }
  with all_peers(ours) as peers:
    for peer_name, peer in peers.items():
      by = f"{peer_name}, {peer.num_trials} trials"
      try:
        check_equal_work(peer_name, peer, ours)
        works[by] = peer.num_trials, peer.work
      except Exception as error:  # of theirs: the others go on
        yield {"network": name, "by": _shown(by)} | failed(error)
    seconds = interleaved(
      {by: work for by, (_, work) in works.items()},
      repeats=options.repeats,
      seconds=options.seconds,
    )
  steps = {by: seconds[by].times(1e3 / k) for by, (k, _) in works.items()}
  fastest = steps[next(iter(steps))]
  for by, step in steps.items():
    yield {
      "network": name,
      "by": _shown(by),
      "ms_per_trial_step": step,
      "trial_steps_per_s": 1e3 / step.median,
      "times_ae_jax": step.over(fastest),
    }


def _shown(by: str) -> str:
  return by.replace(", 1 trials", "")


SECTION = BenchmarkSection(
  "Peers",
  "The same MLPs from the same weights with the same Adam, batch 128: each peer"
  " has as many parameters as ours and the same losses over 20 steps, or it is"
  " not timed. `torch` is an eager loop, `torch.func` trains stacked"
  " networks with vmap, `pythae` is an epoch of its trainer with its loader and"
  " collation, without what it does between epochs. PyTorch has its default"
  " number of threads.",
  _rows,
  lambda options: 5 * len(options.problems),
)
