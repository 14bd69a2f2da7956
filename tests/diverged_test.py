"""Trials that diverge are marked and frozen; others never notice."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from small_sweeps import DIGITS, HIDDEN, SHORT, SOLO, run

from ae_jax import grid
from ae_jax.epoch_order import epoch_order
from ae_jax.networks import autoencoder


@pytest.mark.diverges
def test_a_diverged_trial_is_marked_and_its_neighbors_never_notice():
  sane = [SHORT | {"learning_rate": lr} for lr in (1e-3, 1e-2)]
  wild = [SHORT | {"learning_rate": lr} for lr in (1e12, 1e30)]
  alone = run(sane)
  beside = run([sane[0], *wild, sane[1]])
  for a, b in zip(alone, (beside[0], beside[3]), strict=True):
    assert b.row["status"] == "ok"
    assert b.row["diverged_step"] is None
    jax.tree.map(
      lambda x, y: np.testing.assert_allclose(x, y, **SOLO),
      (a.params, a.history),
      (b.params, b.history),
    )
  for r in beside[1:3]:
    assert r.row["status"] == "diverged"
    # Step 0 is of the initial network; its update is what blows up.
    assert r.row["diverged_step"] == 1
    assert np.isnan(r.row["loss"])
    assert all(np.isfinite(p).all() for p in jax.tree.leaves(r.params))


def first_bad_steps(trials):
  """A plain loop with optax: the step whose loss or gradient overflows."""
  first = trials[0]
  model = autoencoder(first.spec((8, 8), first.settings["latent_size"]))
  num_epochs = first.settings["num_epochs"]

  @jax.jit
  def update(params, moments, noise, x, learning_rate, hyper):
    (loss, _), grads = jax.value_and_grad(
      lambda p: first.objective(model, p, noise, x, **hyper), has_aux=True
    )(params)
    adam = optax.adam(learning_rate, eps_root=1e-16)
    updates, moments = adam.update(grads, moments)
    squares = jax.tree.map(lambda g: jnp.sum(jnp.square(g)), grads)
    return (loss, squares), optax.apply_updates(params, updates), moments

  def first_bad_step(trial):
    key = jax.random.key(trial.settings["seed"])
    params = model.init(jax.random.fold_in(key, 0))
    moments = optax.adam(1.0).init(params)
    others = ("latent_size", "learning_rate")
    own = {k: v for k, v in trial.hyper.items() if k not in others}
    orders = [epoch_order(key, i, len(DIGITS), 64) for i in range(num_epochs)]
    for step, rows in enumerate(np.concatenate(orders)):
      noise = jax.random.fold_in(jax.random.fold_in(key, 1), step)
      rate = trial.settings["learning_rate"]
      numbers, params, moments = update(
        params, moments, noise, DIGITS[rows], rate, own
      )
      if not np.isfinite(jax.tree.leaves(numbers)).all():
        return step
    return None

  return {trial.id: first_bad_step(trial) for trial in trials}


STRENGTHS = {
  "sparse": "strength",
  "sparse_kl": "strength",
  "sparse_student_t": "strength",
  "contractive": "strength",
  "vae": "beta",
}


@pytest.mark.slow
@pytest.mark.diverges
@pytest.mark.parametrize("name", STRENGTHS)
def test_wild_values_beside_sane_ones(name):
  strengths = {STRENGTHS[name]: (0.1, 1e10, 1e30)}
  points = grid.product(
    objective=(name,), learning_rate=(1e-3, 1e6), **strengths
  )
  points = [HIDDEN | {"num_epochs": 1} | point for point in points]
  trials = grid.resolve(points)
  sane = [
    p
    for p in points
    if p["learning_rate"] == 1e-3 and p[STRENGTHS[name]] == 0.1
  ]
  alone = {r.row["id"]: r for r in run(sane)}
  assert len(alone) == 1
  expected = first_bad_steps(trials)
  assert {*expected.values()} == {None, 0, 1}
  for trained in run(points):
    bad_step = expected[trained.row["id"]]
    assert trained.row["diverged_step"] == bad_step
    assert trained.row["status"] == ("ok" if bad_step is None else "diverged")
    if trained.row["id"] in alone:
      assert bad_step is None
      jax.tree.map(
        lambda x, y: np.testing.assert_allclose(x, y, **SOLO),
        (alone[trained.row["id"]].params, alone[trained.row["id"]].history),
        (trained.params, trained.history),
      )


@pytest.mark.diverges
def test_a_blow_up_by_the_last_update_is_marked_too():
  point = SHORT | {"learning_rate": 1e30, "num_epochs": 1, "batch_size": 300}
  (result,) = run([point])
  assert result.row["status"] == "diverged"
  assert result.row["diverged_step"] == 0
  assert np.isfinite(result.row["loss"])
