"""Trials of a sweep beside their solo runs: own programs, without a mask."""

import jax
import numpy as np
from sklearn.datasets import load_digits
from small_sweeps import SOLO

from ae_jax import grid
from ae_jax.data import from_arrays
from ae_jax.data.supervision import supervise
from ae_jax.engine.input_pipeline import InMemory
from ae_jax.executors import train_groups
from ae_jax.parameters import unpadded
from ae_jax.training import trainer

X = (load_digits().images[:340] / 16).astype(np.float32)
DATASET = from_arrays(X[:300], X[300:], load_digits().target[:300], range(40))
PIPELINE = InMemory(
  DATASET.train, dataset=DATASET, validation=DATASET.validation
)


def trained(points):
  """Point -> the parameters of its own size, history and settings."""
  trials = grid.resolve(points)
  groups = [*train_groups(trials, PIPELINE, memory_bytes=10**9)]
  by_id = {trial.id: trial for trial in trials}
  found = {}
  for group in groups:
    for i, trial_id in enumerate(group.ids):
      one = group.select([i])
      trial = by_id[trial_id]
      params = unpadded(
        trial.functions["objective"],
        trial.spec((8, 8), one.latent_sizes[0]),
        trial.settings,
        jax.tree.map(lambda p: p[0], one.params),
      )
      history = {name: term[0] for name, term in one.history.items()}
      found[trial_id] = params, history
  return [(trial, *found[trial.id]) for trial in trials]


def solo_runs(trials):
  """Networks of their own size, without vmap or mask: a program a size."""
  programs = {}
  for trial in trials:
    size = trial.settings["latent_size"]
    if (trial.group, size) not in programs:
      one = trainer(
        trial.objective,
        trial.spec((8, 8), size),
        num_epochs=trial.settings["num_epochs"],
        batch_size=trial.settings["batch_size"],
        schedule=trial.schedule(len(DATASET.train)),
        optimizer=trial.optimizer,
        stopping=trial.stopping,
      )
      rows, held_out = DATASET.train, DATASET.validation
      if (kind := trial.batch_kind) is not None:
        rows = supervise(DATASET, rows, kind)
        held_out = supervise(DATASET, held_out, kind, "validation")
      programs[trial.group, size] = jax.jit(
        lambda key, hyper, one=one, size=size, rows=(rows, held_out): one.train(
          key, hyper | {"latent_size": size}, *rows
        )
      )
    hyper = {k: v for k, v in trial.hyper.items() if k != "latent_size"}
    key = jax.random.key(trial.settings["seed"])
    state, history = programs[trial.group, size](key, hyper)
    yield state.params, history


def assert_equal_solo_runs(points, sizes=None, **tolerance):
  tolerance = SOLO | tolerance
  found = trained(points)
  kept = [
    one
    for one in found
    if sizes is None or one[0].settings["latent_size"] in sizes
  ]
  solos = solo_runs([trial for trial, _, _ in kept])
  for (_, params, history), (solo, curves) in zip(kept, solos, strict=True):
    jax.tree.map(
      lambda a, b: np.testing.assert_allclose(a, b, **tolerance),
      (params, history),
      (solo, dict(curves)),
    )
