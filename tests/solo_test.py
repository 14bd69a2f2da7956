"""The main promise: every trial of a sweep equals its solo run."""

import jax
import pytest
from small_sweeps import HIDDEN, SHORT
from solo_runs import assert_equal_solo_runs

from ae_jax.objectives import OBJECTIVES
from ae_jax.settings import hyper_parameters

SHARES = ("stage", "content", "labeled", "decay")
# A code halfway between two vectors takes either, by rounding; Adam then moves
# a number by up to the learning rate, 1e-3, another way.
TOLERANCES = {name: {"atol": 1e-3} for name in ("vq_vae", "fsq")}
# Of these the hidden layers have a part in the loss, or are any network's.
WITH_HIDDEN = (
  *("autoencoder", "vae", "conditional_vae"),
  *("layerwise", "contractive", "rae"),
)


def points_of(name, sizes, fixed=HIDDEN):
  """Latent sizes, two seeds, and two values of every number."""
  hyper = hyper_parameters("objective", OBJECTIVES[name])
  numbers = {k: v for k, v in hyper.items() if isinstance(v, float)}
  changed = {
    key: 0.4 if key in SHARES else 2 * default or 0.5
    for key, default in numbers.items()
  }
  others = {"pairs": "class"} if "pairs" in hyper else {}
  if "k" in hyper:  # no more than there are units
    others, changed = {"k": 2.0}, {"k": 3.0}
  return [
    fixed | {"objective": name, "latent_size": size, "seed": seed} | own
    for size in sizes
    for seed, own in enumerate((others, others | changed))
  ]


@pytest.mark.parametrize("name", OBJECTIVES)
def test_every_trial_equals_its_solo_run(name):
  """Linear where hidden layers are trained as any others; slow: with them."""
  fixed = HIDDEN if name in WITH_HIDDEN else SHORT
  points = points_of(name, (3, 6), fixed)
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
    {"network": "conv", "widths": (4,)},
    slow({"network": "conv", "widths": (4, 8)}),
    {"widths": (), "batch_size": 1000, "likelihood": "bernoulli"},
    slow({"widths": (16, 8), "activation": "tanh"}),
    {"objective": "denoising", "corruption": "salt_and_pepper"}
    | {"likelihood": "sigmoid_gaussian", "code": "relu", "schedule": "cosine"},
    slow({"likelihood": "logistic_mixture", "objective": "vae"}),
    {"objective": "contractive", "estimator": "hutchinson"},
    {"objective": "k_sparse", "k": 2.0, "selection": "batch"},
    slow(
      {"objective": "contractive", "estimator": "subset", "num_samples": 5}
      | {"widths": (16, 8), "code": "tanh"}
    ),
    slow({"network": "residual_mlp", "dropout": 0.3, "blocks": 1}),
  ],
  ids=str,
)
def test_static_settings_equal_their_solo_run(setting):
  points = [
    {"objective": "autoencoder"} | HIDDEN | {"latent_size": size} | setting
    for size in (2, 5)
  ]
  assert_equal_solo_runs(points, sizes=(2,))
