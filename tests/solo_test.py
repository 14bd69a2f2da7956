"""The main promise: every trial of a sweep equals its solo run."""

import jax
import numpy as np
import pytest
from sklearn.datasets import load_digits
from small_sweeps import SHORT, SOLO

from ae_jax import grid
from ae_jax.data import from_arrays
from ae_jax.data.supervision import supervise
from ae_jax.engine.input_pipeline import InMemory
from ae_jax.executors import train_groups
from ae_jax.networks import unpad
from ae_jax.objectives import OBJECTIVES
from ae_jax.settings import hyper_parameters
from ae_jax.training import trainer

X = (load_digits().images[:340] / 16).astype(np.float32)
DATASET = from_arrays(X[:300], X[300:], load_digits().target[:300], range(40))
PIPELINE = InMemory(DATASET.train, dataset=DATASET)
# A code halfway between two vectors takes either, by rounding; Adam then moves
# a number by up to the learning rate, 1e-3, another way.
TOLERANCES = {"vq_vae": {"atol": 1e-3}}


def points_of(name, sizes):
  """Latent sizes, two seeds, and two values of every number."""
  hyper = hyper_parameters("objective", OBJECTIVES[name])
  numbers = {k: v for k, v in hyper.items() if isinstance(v, float)}
  changed = {
    key: 0.4 if key in ("stage", "content", "labeled") else 2 * default or 0.5
    for key, default in numbers.items()
  }
  others = {"pairs": "class"} if "pairs" in hyper else {}
  return [
    SHORT | {"objective": name, "latent_size": size, "seed": seed} | own
    for size in sizes
    for seed, own in enumerate((others, others | changed))
  ]


def trained(points):
  """Point -> the parameters of its own size, history and settings."""
  trials = grid.resolve(points)
  groups = [*train_groups(trials, PIPELINE, memory_bytes=10**9)]
  found = {}
  for group in groups:
    for i, trial_id in enumerate(group.ids):
      one = group.select([i])
      params = unpad(
        jax.tree.map(lambda p: p[0], one.params), one.latent_sizes[0]
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
      )
      rows = DATASET.train
      if trial.batch_kind is not None:
        rows = supervise(DATASET, rows, trial.batch_kind)
      programs[trial.group, size] = jax.jit(
        lambda key, hyper, one=one, size=size, rows=rows: one.train(
          key, hyper | {"latent_size": size}, rows
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
    own, alone = dict(params), dict(solo)
    jax.tree.map(
      lambda a, b: np.testing.assert_allclose(
        a[tuple(slice(n) for n in np.shape(b))], b, **tolerance
      ),
      own.pop("objective", {}),  # padded still
      alone.pop("objective", {}),
    )
    jax.tree.map(
      lambda a, b: np.testing.assert_allclose(a, b, **tolerance),
      (own, history),
      (alone, dict(curves)),
    )


@pytest.mark.parametrize("name", OBJECTIVES)
def test_every_trial_equals_its_solo_run(name):
  points = points_of(name, sizes=(3, 6))
  assert_equal_solo_runs(points, sizes=(3,), **TOLERANCES.get(name, {}))


@pytest.mark.slow
@pytest.mark.parametrize("name", OBJECTIVES)
def test_every_trial_of_any_size_equals_its_solo_run(name):
  """Also the one that fills the mask, with more units than features."""
  assert_equal_solo_runs(points_of(name, (3, 70)), **TOLERANCES.get(name, {}))


@pytest.fixture
def optimized():
  """Programs are compiled as users run them."""

  def compile_anew(disabled):
    jax.config.update("jax_disable_most_optimizations", disabled)
    jax.clear_caches()

  before = jax.config.values["jax_disable_most_optimizations"]
  compile_anew(disabled=False)
  yield
  compile_anew(before)


@pytest.mark.slow
@pytest.mark.usefixtures("optimized")
@pytest.mark.parametrize("name", ["vae", "contractive"])
def test_an_optimized_program_equals_its_solo_runs(name):
  assert_equal_solo_runs(points_of(name, (4, 7)), sizes=(4,))


def slow(setting):
  return pytest.param(setting, marks=pytest.mark.slow)


@pytest.mark.parametrize(
  "setting",
  [
    {"network": "conv", "widths": (4, 8)},
    {"widths": ()},
    slow({"widths": (16, 8), "activation": "tanh"}),
    {"likelihood": "sigmoid_gaussian", "schedule": "cosine"},
    {"likelihood": "bernoulli", "code": "relu"},
    slow({"likelihood": "logistic_mixture", "objective": "vae"}),
    {"objective": "denoising", "corruption": "salt_and_pepper"},
    {"objective": "contractive", "estimator": "hutchinson"},
    slow(
      {"objective": "contractive", "estimator": "subset", "num_samples": 5}
      | {"widths": (16, 8), "code": "tanh"}
    ),
    {"batch_size": 1000},
  ],
  ids=str,
)
def test_static_settings_equal_their_solo_run(setting):
  points = [
    {"objective": "autoencoder"} | SHORT | {"latent_size": size} | setting
    for size in (2, 5)
  ]
  assert_equal_solo_runs(points, sizes=(2,))
