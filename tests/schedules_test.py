"""What is scheduled, step by step, against the papers' formulas."""

import numpy as np
import pytest

from ae_jax import grid, sweep
from ae_jax.schedules import ANNEALING, make_schedule
from ae_jax.types import UsageError

X = np.random.default_rng(0).uniform(size=(64, 6)).astype(np.float32)


@pytest.mark.parametrize(
  ("ramp", "over", "shares"),
  [
    ("linear", 0.5, [0, 0.5, 1, 1]),
    ("linear", 1.0, [0, 0.25, 0.5, 0.75]),
    ("cosine", 0.5, [0, 0.5, 1, 1]),
    ("cosine", 1.0, [0, 0.5 - 0.5**1.5, 0.5, 0.5 + 0.5**1.5]),
    ("cyclic", 0.5, [0, 1, 0, 1]),
    ("cyclic", 1.0, [0, 0.5, 1, 1]),
  ],
)
def test_a_number_rises_from_its_start_to_its_value(ramp, over, shares):
  hyper_at = make_schedule("constant", {"beta": ramp}, 4)
  hyper = {"learning_rate": 1.0, "beta": 5.0}
  hyper |= {"beta_start": 1.0, "beta_over": over}
  found = [hyper_at(hyper, step) for step in range(4)]
  assert all({*now} == {"learning_rate", "beta"} for now in found)
  np.testing.assert_allclose(
    [now["beta"] for now in found], 1 + 4 * np.array(shares), atol=1e-6
  )


def test_a_learning_rate_warms_up_and_decays():
  hyper_at = make_schedule("linear", {"learning_rate": "linear"}, 4)
  hyper = {"learning_rate": 2.0, "learning_rate_start": 0.0}
  hyper |= {"learning_rate_over": 0.5}
  found = [hyper_at(hyper, step)["learning_rate"] for step in range(4)]
  np.testing.assert_allclose(found, [0, 0.75, 1, 0.5], atol=1e-6)


POINTS = grid.product(
  objective=("vae",),
  beta_schedule=("linear", "cyclic"),
  beta_start=(3.0, 0.5),
  beta_over=(0.5, 0.8),
  num_epochs=(4,),
  batch_size=(100,),  # one step an epoch
)


@pytest.fixture(scope="module")
def results():
  return sweep.run_sweep(POINTS, X, metrics=())


def test_starts_and_shares_are_traced_and_the_kind_is_static(results):
  trials = grid.resolve(POINTS)
  assert len(trials) == 8
  assert len({trial.group for trial in trials}) == 2
  losses = {trained.row["loss"] for trained in results}
  assert len(losses) == 8
  assert results[0].row["beta"] == 1.0
  assert results[0].row["beta_schedule"] == "linear"


def test_a_scheduled_loss_is_that_of_its_value_at_the_step(results):
  # One step an epoch: the first has the start, those after `over` the value.
  assert POINTS[0]["beta_schedule"] == "linear"
  history = results[0].history
  np.testing.assert_allclose(
    (history["loss"] - history["reconstruction"]) / history["kl"],
    [3, 2, 1, 1],
    rtol=1e-4,  # of a difference of float32
  )


def test_union_takes_an_axis_that_schedules():
  points = grid.union(
    {"objective": ("vae", "autoencoder"), "beta_schedule": ("linear",)}
  )
  assert [point.get("beta_schedule") for point in points] == ["linear", None]


@pytest.mark.parametrize(
  ("point", "message"),
  [
    ({"beta_schedule": "lin"}, "'lin'; allowed: linear, cosine, cyclic"),
    ({"beta_schedule": "linear", "beta_over": 0.0}, r"beta_over must be in \("),
    (
      {"beta_schedule": "linear", "beta_start": -1.0},
      r"beta_start: beta must be in \[0",
    ),
    ({"beta_over": 0.5}, "beta_over needs beta_schedule"),
    ({"seed_schedule": "linear"}, "unknown hyper-parameter 'seed_schedule'"),
  ],
)
def test_mistakes_are_told(point, message):
  with pytest.raises(UsageError, match=message):
    grid.resolve([{"objective": "vae"} | point])


def test_a_warm_up_needs_no_more_than_its_name():
  (trial,) = grid.resolve([{"learning_rate_schedule": "linear"}])
  assert trial.hyper["learning_rate_start"] == 0


def named_alike(model, params, key, batch, *, w: float = 1.0, w_schedule="a"):
  del key, w_schedule
  return w * np.mean(batch) + 0 * params["decoder"]["latent"]["bias"].sum(), {}


def test_an_objective_may_have_such_names_of_its_own():
  point = {"objective": named_alike, "w": 2.0, "num_epochs": 1}
  (trained,) = sweep.run_sweep([point], X, metrics=())
  np.testing.assert_allclose(trained.row["loss"], 2 * X.mean(), rtol=0.1)


def test_all_ramps_are_tested():
  assert {*ANNEALING} == {"linear", "cosine", "cyclic"}
