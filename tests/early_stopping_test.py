"""Epochs that are judged by a validation loss: stopped, and kept."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from mistakes import check_fails
from solo_runs import DATASET, PIPELINE, X, assert_equal_solo_runs

import ae_jax
from ae_jax import early_stopping, grid
from ae_jax.data import from_arrays
from ae_jax.engine.placement import Placement
from ae_jax.engine.program import compile_program
from ae_jax.engine.training_loop import train
from ae_jax.objectives import vae
from ae_jax.training import trainer

NUM_EPOCHS = 12
POINT = {
  "objective": "autoencoder",
  "num_epochs": NUM_EPOCHS,
  "batch_size": 32,
  "widths": (24,),
  "patience": 2,
  "keep_best": True,
}


def points(**axes):
  fixed = {k: (v,) for k, v in POINT.items() if k not in axes}
  return grid.product(**(fixed | axes))


@pytest.fixture(scope="module")
def results(tmp_path_factory):
  """At these rates some stop, and some do not; and one stops never."""
  return ae_jax.run_sweep(
    points(latent_size=(3, 6), learning_rate=(0.003, 0.05), seed=(0, 1))
    + points(learning_rate=(0.05,), patience=(0,)),
    DATASET,
    metrics=(),
    progress=False,
    folder=tmp_path_factory.mktemp("runs") / "run",
  )


def loss_of(x):
  """`1/2 ||x - x~||^2` over the examples."""

  def loss(model, params):
    residual = x - model.mean(model.decode(params, model.encode(params, x)))
    return 0.5 * jnp.mean(jnp.sum(residual**2, axis=(1, 2)))

  return loss


def test_it_is_a_plain_loop_that_looks_at_the_validation_set(results):
  stopped = next(r for r in results if r.row.get("stopped_epoch"))
  (trial,) = grid.resolve(
    points(
      **{k: (stopped.row[k],) for k in ("latent_size", "learning_rate", "seed")}
    )
  )
  one = trainer(
    trial.objective,
    trial.spec((8, 8), stopped.row["latent_size"]),
    num_epochs=NUM_EPOCHS,
    batch_size=32,
    schedule=trial.schedule(DATASET.num_train),
  )
  hyper = dict(trial.hyper)
  state = one.init(jax.random.key(stopped.row["seed"]), hyper)
  epoch = jax.jit(lambda state: one.epoch(state, hyper, DATASET.train))
  # One batch of 30: no epoch of this objective has noise.
  judge = jax.jit(
    lambda p: loss_of(jnp.asarray(DATASET.validation))(one.model(hyper), p)
  )
  best, best_epoch, kept = math.inf, 0, None
  for number in range(1, NUM_EPOCHS + 1):
    state, _ = epoch(state)
    loss = float(judge(state.params))
    if loss < best:
      best, best_epoch, kept = loss, number, state.params
    if number - best_epoch >= 2:
      break
  assert number < NUM_EPOCHS
  found = results[trial.id]
  assert found.row["best_epoch"] == best_epoch
  assert found.row["stopped_epoch"] == number
  # Two programs of the same steps differ by the rounding of float32, which
  # training at this rate multiplies.
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4),
    found.params,
    jax.tree.map(np.asarray, kept),
  )


def test_what_is_kept_has_the_least_validation_loss(results):
  stopped = 0
  for found in results:
    row, losses = found.row, found.history["validation_loss"]
    seen = losses[np.isfinite(losses)]
    assert len(losses) == NUM_EPOCHS
    last = row.get("stopped_epoch") or NUM_EPOCHS
    assert len(seen) == last
    assert row["best_epoch"] == 1 + seen.argmin()
    assert row["validation_loss"] == pytest.approx(seen.min(), rel=1e-6)
    again = loss_of(jnp.asarray(DATASET.validation))(found.model, found.params)
    # The same float32 sums, in another order.
    assert float(again) == pytest.approx(seen.min(), rel=1e-5)
    if row["patience"]:
      assert last == min(row["best_epoch"] + 2, NUM_EPOCHS)
    stopped += row.get("stopped_epoch") is not None
  assert 0 < stopped < len(results) - 1
  assert results.rows[-1].get("stopped_epoch") is None


def test_a_folder_gives_the_same_back(results):
  for row in results.rows:
    stored = ae_jax.load(results.folder, row["id"]).row
    assert {k: v for k, v in stored.items() if v is not None} == {
      k: v for k, v in row.items() if v is not None
    }


@pytest.mark.parametrize(
  "objective",
  [
    "denoising",
    pytest.param("k_sparse", marks=pytest.mark.slow),
    pytest.param("vq_vae", marks=pytest.mark.slow),
    pytest.param("factor_vae", marks=pytest.mark.slow),
    pytest.param("conditional_vae", marks=pytest.mark.slow),
  ],
)
def test_each_lane_is_its_solo_run(objective):
  assert_equal_solo_runs(
    points(
      objective=(objective,),
      widths=((5,) if objective == "conditional_vae" else (),),
      latent_size=(5, 8),
      learning_rate=(0.01,),
      num_epochs=(3,),
      patience=(1,),
    )
  )


def test_the_noise_is_the_same_in_each_epoch():
  calls = []

  def loss(key, batch):
    calls.append((batch.shape, jax.random.uniform(key)))
    return jnp.mean(batch)

  x = jnp.arange(20.0)
  key = jax.random.key(3)
  found = [early_stopping.validation_loss(loss, key, x, 8) for _ in range(2)]
  # Three batches of six; two examples are left over.
  assert [shape for shape, _ in calls] == [(6,), (6,)]
  assert found[0] == found[1] == np.mean(np.arange(18))


def test_the_loss_is_that_of_the_objective_with_noise():
  """Monte Carlo: over many keys it is the mean of the objective's loss."""
  one = trainer(
    vae,
    grid.resolve([POINT | {"objective": "vae"}])[0].spec((8, 8), 4),
    num_epochs=1,
    stopping=early_stopping.EarlyStopping(keep_best=True),
  )
  hyper = {"learning_rate": 1e-3, "latent_size": 4, "beta": 1.0}
  x = jnp.asarray(DATASET.validation)
  state = one.init(jax.random.key(0), hyper)
  keys = jax.random.split(jax.random.key(1), 400)
  judged = jax.jit(
    jax.vmap(lambda key: one.validate(state._replace(key=key), hyper, x)[1])
  )(keys)
  other = jax.jit(
    jax.vmap(lambda key: one.loss(state.params, key, x, hyper)[0])
  )(jax.random.split(jax.random.key(2), 400))
  error = math.hypot(np.std(judged), np.std(other)) / math.sqrt(400)
  assert abs(np.mean(judged) - np.mean(other)) < 4 * error


def test_it_needs_a_validation_set():
  data = from_arrays(X, validation_fraction=0)
  check_fails(
    "patience and keep_best need a validation set",
    ae_jax.run_sweep,
    points(),
    data,
  )
  check_fails("patience must be 0 or more", grid.resolve, [{"patience": -1}])


def test_a_snapshot_goes_on_to_the_same_bits():
  trials = grid.resolve(
    points(learning_rate=(0.003, 0.05), seed=(0, 1), num_epochs=(6,))
  )
  program = compile_program(trials, PIPELINE, Placement(1, 4))
  snapshots = []
  whole = train(
    program,
    trials,
    PIPELINE,
    on_advance=lambda loop: snapshots.append(loop.snapshot()),
  )
  middle = next(s for s in snapshots if s.num_done >= 2 * 7)
  again = train(program, trials, PIPELINE, snapshot=middle)
  for one, other in (
    (whole.params, again.params),
    (whole.history, again.history),
  ):
    jax.tree.map(np.testing.assert_array_equal, one, other)
  np.testing.assert_array_equal(whole.best_epoch, again.best_epoch)
  np.testing.assert_array_equal(whole.stopped_epoch, again.stopped_epoch)
