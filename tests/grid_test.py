"""Grids: products, zips and unions; what a point may say."""

import functools
import subprocess
import sys

import jax.numpy as jnp
import numpy as np
import pytest

from ae_jax import grid
from ae_jax.objectives import OBJECTIVES
from ae_jax.types import UsageError


def my_loss(model, params, key, batch, *, weight: float = 1.0, form: str = "a"):
  del model, params, key, form
  return weight * batch.sum(), {}


def needs_a_value(model, params, key, batch, *, weight):
  return weight, {}


def takes_no_key(model, params, batch):
  return 0.0, {}


def shadows(model, params, key, batch, *, seed: float = 1.0):
  return seed, {}


def test_product_runs_the_last_axis_fastest():
  assert grid.product(latent_size=(2, 8), seed=(0, 1)) == [
    {"latent_size": 2, "seed": 0},
    {"latent_size": 2, "seed": 1},
    {"latent_size": 8, "seed": 0},
    {"latent_size": 8, "seed": 1},
  ]


def test_zipped_takes_the_values_together():
  assert grid.zipped(latent_size=(2, 8), seed=(0, 1)) == [
    {"latent_size": 2, "seed": 0},
    {"latent_size": 8, "seed": 1},
  ]


def test_union_gives_each_objective_its_own_axes():
  points = grid.union(
    {
      "objective": ("autoencoder", "vae", "sparse"),
      "latent_size": (2, 8),
      "strength": (0.5,),
      "vae": {"beta": (1.0, 4.0), "latent_size": (3,)},
    }
  )
  assert points == (
    grid.product(objective=("autoencoder",), latent_size=(2, 8))
    + grid.product(objective=("vae",), latent_size=(3,), beta=(1.0, 4.0))
    + grid.product(objective=("sparse",), latent_size=(2, 8), strength=(0.5,))
  )


def test_defaults_are_filled_in_and_doubles_count_once():
  (trial,) = grid.resolve([{}, {"latent_size": 8}, {"seed": np.int64(0)}])
  filled = {"code": "linear", "likelihood": "gaussian", "tied": False}
  assert trial.settings == grid.DEFAULTS | filled
  assert trial.hyper == {"learning_rate": 1e-3, "latent_size": 8}


def test_numbers_of_an_objective_are_traced_and_the_rest_is_static():
  points = grid.product(objective=(my_loss,), weight=(1, 2), form=("a", "b"))
  trials = grid.resolve(points)
  assert [t.hyper["weight"] for t in trials] == [1.0, 1.0, 2.0, 2.0]
  assert len({t.group for t in trials}) == 2
  assert trials[0].settings["objective"].endswith("grid_test:my_loss")


def test_what_changes_shapes_makes_a_group():
  traced = grid.product(
    latent_size=(2, 8), seed=(0, 1), learning_rate=(0.1, 0.2)
  )
  assert len({t.group for t in grid.resolve(traced)}) == 1
  static = grid.product(
    widths=((8,), (8, 8)), batch_size=(16, 32), num_epochs=(1, 2)
  )
  assert len({t.group for t in grid.resolve(static)}) == 8


def test_id_is_the_same_in_another_process_and_follows_the_settings():
  point = {"objective": "sparse", "strength": 0.25}
  code = f"from ae_jax import grid; print(grid.resolve([{point}])[0].id)"
  printed = subprocess.run(
    [sys.executable, "-c", code], capture_output=True, text=True, check=True
  )
  (trial,) = grid.resolve([point])
  assert printed.stdout.strip() == trial.id
  assert grid.resolve([point | {"seed": 1}])[0].id != trial.id


def test_axes_may_be_arrays():
  (first, second) = grid.product(learning_rate=np.logspace(-3, -2, 2))
  assert first == {"learning_rate": 1e-3}
  assert grid.product(seed=jnp.arange(2)) == [{"seed": 0}, {"seed": 1}]
  assert grid.product(seed=(s for s in range(2))) == [{"seed": 0}, {"seed": 1}]
  assert second == {"learning_rate": 1e-2}


def test_two_functions_of_one_name_are_refused():
  def make(factor):
    def loss(model, params, key, batch):
      return factor * batch.sum(), {}

    return loss

  with pytest.raises(UsageError, match="both named .*loss"):
    grid.resolve(grid.product(objective=(make(1), make(2))))
  with pytest.raises(UsageError, match="not a plain function"):
    grid.resolve(
      [{"objective": functools.partial(OBJECTIVES["sparse"], strength=0.3)}]
    )


def test_module_and_function_name_an_objective(monkeypatch, tmp_path):
  (tmp_path / "their_losses.py").write_text(
    "def loss(model, params, key, batch, *, w: float = 2.0):\n"
    "  return w * batch.sum(), {}\n"
  )
  monkeypatch.syspath_prepend(tmp_path)
  (trial,) = grid.resolve([{"objective": "their_losses:loss", "w": 3}])
  assert trial.settings["objective"] == "their_losses:loss"
  assert trial.hyper["w"] == 3.0


def test_code_follows_the_objective():
  codes = {
    name: grid.resolve([{"objective": name}])[0].settings["code"]
    for name in OBJECTIVES
  }
  assert codes["vae"] == "gaussian"
  assert codes["sparse_kl"] == "sigmoid"
  assert codes["autoencoder"] == "linear"
  (trial,) = grid.resolve([{"code": "tanh"}])
  assert trial.settings["code"] == "tanh"


@pytest.mark.parametrize(
  ("point", "message"),
  [
    ({"objective": "autoencodr"}, "autoencodr.*available: autoencoder, sparse"),
    ({"objective": 3}, "objective is 3"),
    ({"objective": "no_such_module:f"}, "cannot load.*no_such_module"),
    ({"objective": "math:no_such"}, "cannot load.*no_such"),
    ({"objective": "math:pi"}, "not a function"),
    ({"objective": takes_no_key}, "must take .model, params, key, batch"),
    ({"objective": shadows}, "'seed'"),
    ({"objective": needs_a_value}, "'weight'.*default"),
    ({"strength": 1.0}, "'strength': objective autoencoder has none"),
    ({"objective": "vae", "strength": 1.0}, "objective vae has beta"),
    ({"latent_size": 0}, "latent_size must be at least 1; got 0"),
    ({"latent_size": 2.5}, "latent_size must be of type int; got 2.5"),
    ({"latent_size": True}, "latent_size must be of type int"),
    ({"latent_size": 2**40}, "latent_size must be below"),
    ({"num_epochs": 0}, "num_epochs must be at least 1"),
    ({"batch_size": -1}, "batch_size must be at least 1"),
    ({"seed": -1}, "seed must be"),
    ({"seed": 2**31}, "seed must be"),
    ({"learning_rate": 0}, "learning_rate must be above 0"),
    ({"learning_rate": "x"}, "learning_rate must be of type float; got 'x'"),
    ({"learning_rate": float("nan")}, "learning_rate must be"),
    ({"objective": "sparse", "strength": 1e39}, "strength must be a finite"),
    (
      {"objective": "contractive", "num_samples": 0},
      r"num_samples must be in \[1, inf\]; got 0",
    ),
    (
      {"objective": "info_vae", "alpha": 0.5, "strength": 0.1},
      r"alpha \+ strength must be at least 1; got 0.5 \+ 0.1",
    ),
    ({"objective": "vq_vae", "latent_size": 3, "code_dim": 2}, "must divide"),
    (
      {"objective": "k_sparse", "latent_size": 8, "k": 25.0},
      "k must be at most latent_size, 8; got 25.0",
    ),
    (
      {"objective": "k_sparse", "k": 2.0, "latent_size": 8}
      | {"k_schedule": "linear", "k_start": 9.0},
      "k_start: k must be at most latent_size, 8; got 9.0",
    ),
    (
      {"objective": "denoising", "corruption": "masking", "noise": 3.0},
      "noise is a probability .* at most 1; got 3.0",
    ),
    (
      {"objective": "layerwise", "kind": "denoising", "strength": 3.0},
      "strength of kind denoising is a share, at most 1; got 3.0",
    ),
    ({"schedule": "cosin"}, "cosin.*allowed: constant, linear, cosine"),
    ({"widths": "64"}, "widths must be of type tuple of ints"),
    ({"widths": (64, 0.5)}, "widths must be of type tuple of ints"),
    (
      {"objective": "vae", "code": "linear"},
      "vae is 'linear'; allowed: gaussian",
    ),
    ({"code": "gaussian"}, "autoencoder is 'gaussian'; allowed: linear, relu"),
  ],
)
def test_a_bad_point_gets_one_clear_line(point, message):
  with pytest.raises(UsageError, match=message) as raised:
    grid.resolve([point])
  assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
  ("make", "message"),
  [
    (lambda: grid.resolve([]), "the grid is empty"),
    (lambda: grid.product(seed=()), "empty: seed has no value"),
    (lambda: grid.product(objective="vae"), "must be a sequence; got 'vae'"),
    (lambda: grid.product(seed=3), "must be a sequence; got 3"),
    (lambda: grid.zipped(seed=(0, 1), latent_size=(2,)), "differ in length"),
    (lambda: grid.union({"objective": ()}), "empty: objective has no value"),
    (lambda: grid.union({"vae": {"beta": ()}, "objective": ("vae",)}), "beta"),
    (lambda: grid.union({"strength": (1.0,)}), "'strength'.*autoencoder"),
    (lambda: grid.union({"vea": {"beta": (1.0,)}}), "unknown objective 'vea'"),
    (
      lambda: grid.resolve(
        grid.union({"objective": ("vae",), "vae": {"bta": (1.0,)}})
      ),
      "'bta' .did you mean beta..: objective vae has beta",
    ),
  ],
)
def test_a_bad_grid_gets_one_clear_line(make, message):
  with pytest.raises(UsageError, match=message) as raised:
    make()
  assert "\n" not in str(raised.value)
