"""A group: trials that share one compiled program.

They differ in numbers only (seed, latent size, learning rate, strength, ...),
which are stacked and traced.
"""

import collections
from collections.abc import Hashable, Iterable, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from ae_jax.networks import Spec
from ae_jax.schedules import Hyper
from ae_jax.train_state import Trainer
from ae_jax.training import trainer
from ae_jax.trial import Trial
from ae_jax.types import Key

_NUM_KEPT = 32
_trainers: collections.OrderedDict[Hashable, Trainer] = (
  collections.OrderedDict()
)


def groups(trials: Iterable[Trial]) -> list[list[Trial]]:
  """Trials that share a compiled program, in the order of their first one."""
  by_group: dict[str, list[Trial]] = {}
  for trial in trials:
    by_group.setdefault(trial.group, []).append(trial)
  return list(by_group.values())


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


def padded_spec(group: Sequence[Trial], features: tuple[int, ...]) -> Spec:
  """The network that all trials of a group share, padded to the largest."""
  latent_size = max(trial.settings["latent_size"] for trial in group)
  return group[0].spec(features, latent_size)


def group_trainer(
  group: Sequence[Trial],
  features: tuple[int, ...],
  num_examples: int,
  draw: str = "",
) -> Trainer:
  """The trainer that all trials of a group share.

  The same one again for the same arguments, so that what JAX has traced of it
  is not traced again.
  """
  first, key = group[0], trainer_key(group, features, num_examples, draw)
  if (made := _trainers.pop(key, None)) is None:
    made = trainer(
      first.objective,
      padded_spec(group, features),
      num_epochs=first.settings["num_epochs"],
      batch_size=first.settings["batch_size"],
      schedule=first.schedule(num_examples),
      draw=draw,
      optimizer=first.optimizer,
      stopping=first.stopping,
    )
  _trainers[key] = made
  while len(_trainers) > _NUM_KEPT:
    _trainers.popitem(last=False)
  return made


def trainer_key(
  group: Sequence[Trial],
  features: tuple[int, ...],
  num_examples: int,
  draw: str,
) -> tuple[Hashable, ...]:
  """What a group's trainer depends on."""
  first = group[0]
  return (
    first.group,
    tuple(first.functions.values()),
    first.source,
    tuple(first.hyper),
    padded_spec(group, features),
    num_examples,
    draw,
  )
