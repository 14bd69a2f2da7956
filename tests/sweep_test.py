"""A sweep from Python: rows, memory, divergence, mistakes."""

import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from small_sweeps import DIGITS, LABELED, SHORT, SOLO, TEST, run

import ae_jax
from ae_jax import grid
from ae_jax.declarations import objective
from ae_jax.engine.group import group_trainer, stack
from ae_jax.engine.input_pipeline import InMemory
from ae_jax.executors import train_groups
from ae_jax.networks import Spec
from ae_jax.objectives import OBJECTIVES
from ae_jax.training import trainer
from ae_jax.types import UsageError


def test_parameters_of_an_objective_that_are_no_floats_are_told():
  def init(model, params, key, **_):
    return {"count": jnp.zeros((), jnp.int32)}

  @objective(params=init)
  def counts(model, params, key, batch):
    return 0.0 * params["decoder"]["latent"]["bias"].sum(), {}

  with pytest.raises(UsageError, match="counts has parameters that are no flo"):
    run([SHORT | {"objective": counts}])


@pytest.mark.parametrize("error", [AssertionError(), RuntimeError("no CUDA")])
def test_no_device_is_one_line(monkeypatch, error):
  def devices():
    raise error

  monkeypatch.setattr(jax, "devices", devices)
  with pytest.raises(UsageError, match="JAX finds no device; JAX_PLATFORMS is"):
    run([SHORT])


def test_a_trainer_of_an_objective_with_parameters_has_its_defaults():
  train = trainer(
    OBJECTIVES["factor_vae"], Spec((64,), 3, code="gaussian"), num_epochs=1
  ).train
  state, _ = train(
    jax.random.key(0), {"learning_rate": 1e-3}, DIGITS.reshape(-1, 64)
  )
  kernel = state.params["objective"]["discriminator_1"]["kernel"]
  assert kernel.shape == (128, 128)


def test_rows_say_what_was_run_and_what_came_out():
  points = [SHORT | p for p in grid.product(latent_size=(2, 64), seed=(0, 1))]
  results = run(points)
  assert [r.row["latent_size"] for r in results] == [2, 2, 64, 64]
  for r in results:
    assert r.row["loss"] == r.history["loss"][-1]
    for split, data in (("train", DIGITS), ("test", TEST)):
      z = r.model.encode(r.params, data)
      assert z.shape == (len(data), r.row["latent_size"])
      residual = data - r.model.mean(r.model.decode(r.params, z))
      np.testing.assert_allclose(
        r.row[f"{split}_squared_error"],
        np.mean(np.sum(residual**2, axis=(1, 2))),
        rtol=1e-4,  # padded against true network
      )
  assert results[0].row["pca_test_squared_error"] > 2
  # 64 components span the data; what is left is float64 rounding.
  assert results[2].row["pca_train_squared_error"] < 1e-12


def test_done_trials_are_left_out_and_the_others_do_not_change():
  points = [SHORT | {"seed": seed} for seed in range(4)]
  trials = grid.resolve(points)
  pipeline = InMemory(DIGITS)
  memory = 10**9
  (whole,) = train_groups(trials, pipeline, memory_bytes=memory)
  done = {trials[0].id, trials[2].id}
  (rest,) = train_groups(trials, pipeline, memory_bytes=memory, done=done)
  assert rest.ids == [trials[1].id, trials[3].id]
  np.testing.assert_allclose(
    rest.history["loss"], whole.history["loss"][[1, 3]], **SOLO
  )
  assert not list(
    train_groups(
      trials, pipeline, memory_bytes=memory, done={t.id for t in trials}
    )
  )


def test_a_schedule_ends_with_the_last_step():
  (trial,) = grid.resolve([SHORT | {"schedule": "cosine"}])

  def factor(step):
    return trial.schedule(len(DIGITS))({"learning_rate": 1.0}, step)[
      "learning_rate"
    ]

  num_steps = 3 * (300 // 64)
  assert factor(0) == 1
  assert 0 < factor(num_steps - 1) < 0.05
  np.testing.assert_allclose(factor(num_steps), 0, atol=1e-7)


def test_trials_of_a_seed_share_their_initial_network():
  points = grid.product(
    objective=("sparse",), strength=(0.0, 5.0), latent_size=(3, 8), seed=(0, 1)
  )
  trials = grid.resolve([SHORT | p for p in points])
  keys, hyper = stack(trials)
  run = group_trainer(trials, DIGITS.shape[1:], len(DIGITS))
  state = jax.jit(jax.vmap(run.init))(keys, hyper)
  kernel = np.asarray(state.params["encoder"]["code"]["kernel"])
  by_trial = {
    (t.settings["strength"], t.settings["latent_size"], t.settings["seed"]): k
    for t, k in zip(trials, kernel, strict=True)
  }
  for seed in (0, 1):
    first = by_trial[0.0, 8, seed]
    np.testing.assert_array_equal(first, by_trial[5.0, 8, seed])
    np.testing.assert_array_equal(first[:, :3], by_trial[0.0, 3, seed][:, :3])
  assert (by_trial[0.0, 8, 0] != by_trial[0.0, 8, 1]).any()


def test_keys_of_a_stack_are_those_of_the_seeds():
  trials = grid.resolve([{"seed": s} for s in (0, 7, 2**31 - 1)])
  keys, _ = stack(trials)
  for key, trial in zip(keys, trials, strict=True):
    solo = jax.random.key(trial.settings["seed"])
    np.testing.assert_array_equal(
      jax.random.key_data(key), jax.random.key_data(solo)
    )


def test_vmapped_matrix_vector_products_are_right():
  # jaxlib 0.10.2 was reported to give silently wrong ones on a CPU.
  rng = np.random.default_rng(0)
  a = rng.normal(size=(7, 33, 17)).astype(np.float32)
  x = rng.normal(size=(7, 17)).astype(np.float32)
  np.testing.assert_allclose(
    jax.jit(jax.vmap(jnp.matmul))(a, x),
    np.einsum("kij,kj->ki", a, x),
    rtol=1e-4,  # float32 sums of 17 terms
    atol=1e-5,
  )


def vector_loss(model, params, key, batch):
  return model.nll(batch, batch), {}


def list_terms(model, params, key, batch):
  return batch.sum(), [batch.sum()]


def reserved_term(model, params, key, batch):
  return batch.sum(), {"seconds": batch.sum()}


def term_of_pca(model, params, key, batch):
  return batch.sum(), {"pca_loss": batch.sum()}


@pytest.mark.parametrize(
  ("point", "message"),
  [
    ({"objective": vector_loss}, "scalar loss and a dict of scalars"),
    ({"objective": list_terms}, "scalar loss and a dict of scalars"),
    ({"objective": reserved_term}, "'seconds'.*another column"),
    ({"objective": term_of_pca}, "'pca_loss'.*another column"),
    ({"network": "conv"}, "conv.*needs images"),
    ({"activation": "relux"}, "relux.*allowed: linear, relu"),
    ({"widths": (0,)}, "integers of at least 1"),
    (
      {"objective": "denoising", "corruption": "blur"},
      "blur.*gaussian, masking, salt_and_pepper",
    ),
  ],
)
def test_mistakes_are_told_before_training(point, message):
  with pytest.raises(UsageError, match=message):
    ae_jax.run_sweep([point], DIGITS.reshape(-1, 64), test=TEST.reshape(-1, 64))


def test_results_are_a_sequence_by_index_and_id():
  points = [SHORT | {"latent_size": 2, "seed": seed} for seed in (0, 1)]
  results = run([*points, points[0]])  # a point that is there twice counts once
  assert len(results) == len(results.rows) == 2
  assert [r.row for r in results] == results.rows
  first = results[0]
  np.testing.assert_array_equal(
    results[first.row["id"]].encode(TEST), first.encode(TEST)
  )
  errors = [row["validation_squared_error"] for row in results.rows]
  assert results.best().row["validation_squared_error"] == min(errors)
  assert results.best(seed=1).row["seed"] == 1
  assert "2 trials, 2 ok" in repr(results)
  with pytest.raises(UsageError, match="no trial 'nobody'"):
    results["nobody"]
  with pytest.raises(UsageError, match="did you mean test_squared_error"):
    results.best("test_squared_eror")
  with pytest.raises(UsageError, match="run_sweep.folder="):
    results.report()
  ids = [row["id"] for row in results.rows]
  assert [trained.row["id"] for trained in results] == ids
  assert [trained.row["id"] for trained in results[:]] == ids
  again = pickle.loads(pickle.dumps(first))
  np.testing.assert_array_equal(again.encode(TEST), first.encode(TEST))


def test_the_second_identical_sweep_compiles_nothing():
  compiled = []

  def count(event, duration, **_):
    if event == "/jax/core/compile/backend_compile_duration":
      compiled.append(event)

  points = [SHORT | {"latent_size": size} for size in (2, 7)]

  def sweep():
    return ae_jax.run_sweep(points, LABELED, progress=False).rows

  first = sweep()
  jax.monitoring.register_event_duration_secs_listener(count)
  try:
    second = sweep()
  finally:
    jax.monitoring.clear_event_listeners()
  assert not compiled
  for a, b in zip(first, second, strict=True):
    assert a | {"seconds": 0, "evaluation_seconds": 0} == b | {
      "seconds": 0,
      "evaluation_seconds": 0,
    }


def test_data_as_users_have_them():
  words = np.array(["a", "b"] * 20, object)
  factors = [[0.5, "x"], [2.0, "y"]] * 20
  x = np.random.default_rng(0).uniform(size=(40, 5))
  dataset = ae_jax.data.as_dataset(x, labels=words, factors=factors)
  assert {*dataset.train_labels} == {"a", "b"}
  assert dataset.train_factors.min() == 0
  assert dataset.train_factors.max() == 1
  with pytest.raises(UsageError, match="numbers or words .n, factors."):
    ae_jax.data.as_dataset(x, factors=np.arange(40))
  with pytest.raises(UsageError, match="labels goes with an array"):
    ae_jax.data.as_dataset(dataset, labels=words)


def named_loss(model, params, key, batch):
  return jnp.mean(model.nll(batch, model.decode(params, batch[:, :3]))), {}


def test_a_run_is_measured_by_its_array_and_chosen_by_its_function(tmp_path):
  x = np.random.default_rng(0).uniform(size=(40, 5))
  point = {"objective": named_loss, "latent_size": 3, "num_epochs": 1}
  options = {"progress": False, "folder": tmp_path / "run"}
  results = ae_jax.run_sweep([point], x, metrics=(), **options)
  assert results.best(objective=named_loss).row["id"] == results.rows[0]["id"]
  again = ae_jax.evaluate(tmp_path / "run", ["activity"], x, progress=False)
  assert "test_code_mean" in again.rows[0]
  with pytest.raises(UsageError, match="digest differs"):
    ae_jax.evaluate(tmp_path / "run", ["noise"], 2 * x, progress=False)
