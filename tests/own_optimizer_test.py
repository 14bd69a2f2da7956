"""Optimizers by name and a user's own, their numbers traced."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import own_parts
import pytest
from small_sweeps import DIGITS, SHORT, SOLO, run
from solo_runs import assert_equal_solo_runs

import ae_jax
from ae_jax import grid
from ae_jax.engine.group import groups
from ae_jax.epoch_order import epoch_order
from ae_jax.objectives import OBJECTIVES
from ae_jax.optimizers import OPTIMIZERS
from ae_jax.types import UsageError

RATES = {"sgd": 0.02, "sign_sgd": 1e-4, "adadelta": 1.0, "lamb": 1e-2}


FAST = ("lion", "lamb")


@pytest.mark.parametrize(
  "name",
  [
    pytest.param(name, marks=[] if name in FAST else pytest.mark.slow)
    for name in OPTIMIZERS
  ],
)
def test_a_masked_trial_equals_its_solo_run(name):
  """Its step is of each number alone, or of norms that padding leaves."""
  points = [
    SHORT
    | {"optimizer": name, "latent_size": size}
    | {"learning_rate": RATES.get(name, 1e-3)}
    for size in (3, 6)
  ]
  # Signs, and quotients of tiny moments, may go either way by rounding.
  tolerance = {"atol": 1e-3} if name in ("lion", "sign_sgd", "yogi") else {}
  assert_equal_solo_runs(points, sizes=(3,), **tolerance)


def by_optax(transformation, point, num_epochs=3, batch_size=64):
  """A loop with optax alone: parameters at the end."""
  trial = grid.resolve([point])[0]
  data = jnp.asarray(DIGITS)
  spec = trial.spec((8, 8), trial.settings["latent_size"])
  model = ae_jax.autoencoder(spec)
  one = ae_jax.trainer(OBJECTIVES["autoencoder"], spec, num_epochs=1)
  key = jax.random.key(trial.settings["seed"])
  params = one.init(key, {"learning_rate": 1e-3}).params
  state = transformation.init(params)

  @jax.jit
  def step(params, state, x):
    grads = jax.grad(lambda p: OBJECTIVES["autoencoder"](model, p, key, x)[0])(
      params
    )
    updates, state = transformation.update(grads, state, params)
    return optax.apply_updates(params, updates), state

  for epoch in range(num_epochs):
    for rows in epoch_order(key, epoch, len(DIGITS), batch_size):
      params, state = step(params, state, data[rows])
  return params


def assert_close(params, others, **tolerance):
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, **(SOLO | tolerance)),
    params,
    others,
  )


SLOW = ("adam", "sgd")  # as the others go
LANES = {
  "adamw": (
    [{"weight_decay": d} for d in (1e-4, 0.5)],
    lambda n: optax.adamw(1e-3, **n),
  ),
  "adam": (
    [{"b1": b1, "b2": b2} for b1, b2 in ((0.9, 0.999), (0.5, 0.9))],
    lambda n: optax.adam(1e-3, eps_root=1e-16, **n),
  ),
  "sgd": (
    [{"momentum": m} for m in (0.0, 0.5, 0.9)],
    lambda n: optax.sgd(1e-3, n["momentum"] or None),
  ),
  "lion": (
    [{"weight_decay": d} for d in (0.0, 0.3)],
    lambda n: optax.lion(1e-3, **n),
  ),
  "own_parts:shrinking": (
    [{"shrink": s} for s in (0.1, 0.8)],
    lambda n: optax.chain(
      optax.trace(n["shrink"]), optax.scale_by_learning_rate(1e-3)
    ),
  ),
}


@pytest.mark.parametrize(
  "name",
  [
    pytest.param(name, marks=pytest.mark.slow if name in SLOW else [])
    for name in LANES
  ],
)
def test_numbers_of_one_program_equal_optax_alone(name):
  numbers, alone = LANES[name]
  points = [
    SHORT | {"optimizer": name, "latent_size": size} | own
    for own in numbers
    for size in (3, 5)
  ]
  trials = grid.resolve(points)
  assert len(groups(trials)) == 1  # one program
  assert "optimizer" in trials[0].settings
  for trained, point in zip(run(points), points, strict=True):
    own = {
      k: v for k, v in point.items() if k in trained.row and k in numbers[0]
    }
    # A sign goes either way by rounding, and the step is the learning rate.
    tolerance = SOLO | ({"atol": 3e-3} if name == "lion" else {})
    assert_close(trained.params, by_optax(alone(own), point), **tolerance)


def test_clip_norm_is_a_number_and_equals_optax():
  points = [
    SHORT | {"optimizer": "sgd", "learning_rate": 0.01, "clip_norm": norm}
    for norm in (0.01, 0.1, 1e6)
  ]
  assert len(groups(grid.resolve(points))) == 1
  for trained, point in zip(run(points), points, strict=True):
    alone = optax.chain(
      optax.clip_by_global_norm(point["clip_norm"]), optax.sgd(0.01)
    )
    assert_close(trained.params, by_optax(alone, point))


def test_a_trial_without_it_is_not_clipped():
  point = SHORT | {"optimizer": "sgd", "learning_rate": 0.01}
  points = [point, point | {"clip_norm": 1e-4}]
  assert len(groups(grid.resolve(points))) == 2
  free, clipped = run(points)
  assert "clip_norm" not in free.row
  assert clipped.row["loss"] > free.row["loss"]


def test_weight_decay_on_a_schedule_equals_optax():
  point = SHORT | {
    "optimizer": "adamw",
    "weight_decay": 0.5,
    "weight_decay_schedule": "linear",
    "weight_decay_start": 0.0,
    "weight_decay_over": 1.0,
  }
  (trained,) = run([point])
  num_steps = 3 * 4  # epochs, and batches of 64 of 300
  alone = optax.chain(
    optax.scale_by_adam(),
    optax.add_decayed_weights(lambda step: 0.5 * step / num_steps),
    optax.scale_by_learning_rate(1e-3),
  )
  assert_close(trained.params, by_optax(alone, point))


def test_no_other_name_is_taken(tmp_path):
  (trained,) = run([SHORT | {"optimizer": "lion"}], folder=tmp_path / "run")
  assert trained.row["optimizer"] == "lion"
  again = ae_jax.load(tmp_path / "run", optimizer="lion")
  np.testing.assert_array_equal(again.encode(DIGITS), trained.encode(DIGITS))


def test_a_model_of_an_own_optimizer_needs_no_module(tmp_path):
  point = SHORT | {"optimizer": own_parts.shrinking, "sign": True}
  (trained,) = run([point], folder=tmp_path / "run")
  loaded = ae_jax.load(tmp_path / "run")
  np.testing.assert_array_equal(loaded.encode(DIGITS), trained.encode(DIGITS))


@pytest.mark.parametrize("other", [{"clip_norm": 1.0}, {"b1": 0.8}])
def test_a_second_sweep_keeps_trials_with_and_without_an_optional_setting(
  other, tmp_path
):
  point = SHORT | {"objective": own_parts.wae}
  for points in ([point | other, point], [point], [point | other, point]):
    results = run(points, folder=tmp_path / "run")
    assert len(results) == len(points)
  assert len(ae_jax.evaluate(tmp_path / "run", (), progress=False)) == 2


@pytest.mark.parametrize(
  ("point", "message"),
  [
    ({"optimizer": "adm"}, "unknown optimizer 'adm'; did you mean adam"),
    ({"optimizer": "adamw", "weight_decay": -1.0},
     r"weight_decay must be in \[0.0, inf\]; got -1.0"),
    ({"optimizer": "adam", "weight_decay": 0.1},
     "unknown hyper-parameter 'weight_decay'.*optimizer adam has b1, b2"),
    ({"optimizer": "sgd", "momentum": "much"}, "momentum must be of type"),
    ({"clip_norm": 0.0}, "clip_norm must be above 0; got 0.0"),
    ({"clip_norm_schedule": "linear"}, "clip_norm_schedule needs clip_norm"),
    ({"optimizer": lambda: None}, r"must take \(learning_rate\)"),
  ],
)  # fmt: skip
def test_a_mistake_is_one_line_before_any_training(point, message):
  with pytest.raises(UsageError, match=message):
    run([SHORT | point])
