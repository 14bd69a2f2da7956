"""The promise of the house: every trial of a sweep equals its solo run."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from sklearn.datasets import load_digits

from ae_jax import grid, sweep
from ae_jax.data import from_arrays
from ae_jax.engine import program
from ae_jax.engine.autotune import OutOfMemory
from ae_jax.engine.input_pipeline import InMemory
from ae_jax.engine.program import Placement
from ae_jax.engine.training_loop import run_program
from ae_jax.networks import Spec, autoencoder
from ae_jax.objectives import OBJECTIVES
from ae_jax.training import epoch_order, trainer
from ae_jax.types import UsageError, needs_params

DIGITS = (load_digits().images[:300] / 16).astype(np.float32)
TEST = (load_digits().images[300:400] / 16).astype(np.float32)
LABELS = load_digits().target
LABELLED = from_arrays(DIGITS, TEST, LABELS[:300], LABELS[300:400])
SHORT = {"num_epochs": 3, "batch_size": 64, "widths": (16,)}
# Ten steps of float32 under other batchings and fusions. Adam divides by the
# root of small squared gradients, which lifts rounding to about 1e-5 of a
# parameter's size; ten times that is allowed.
SOLO = {"rtol": 1e-4, "atol": 2e-5}


def run(points, **options):
  return sweep.run(points, LABELLED, metrics=(), **options)


def points_of(name):
  """Latent sizes below and above the data's rank, two seeds, two values."""
  hyper = grid.hyper_parameters(OBJECTIVES[name])
  axes = {"latent_size": (3, 70), "seed": (0, 1)}
  for key, default in hyper.items():
    if isinstance(default, float):
      is_share = key in ("stage", "content", "labeled")
      axes[key] = (default, 0.4 if is_share else 2 * default or 0.5)
  if "pairs" in hyper:
    axes["pairs"] = ("class",)
  points = grid.product(objective=(name,), **axes)
  return [SHORT | point for point in points]


SOLO_RUNS = {}


def solo_run(trial):
  """Trains one trial as a network of its own size, without vmap or mask."""
  size = trial.settings["latent_size"]
  if (trial.group, size) not in SOLO_RUNS:
    run = trainer(
      trial.objective,
      trial.spec((8, 8), size),
      num_epochs=trial.settings["num_epochs"],
      batch_size=trial.settings["batch_size"],
      schedule=trial.schedule(len(DIGITS)),
    )
    SOLO_RUNS[trial.group, size] = jax.jit(
      lambda key, hyper: run.train(
        key, hyper | {"latent_size": size}, rows_of(trial)
      )
    )
  hyper = {k: v for k, v in trial.hyper.items() if k != "latent_size"}
  key = jax.random.key(trial.settings["seed"])
  return SOLO_RUNS[trial.group, size](key, hyper)


def rows_of(trial):
  if trial.batch_kind is None:
    return DIGITS
  return supervise(LABELLED, DIGITS, trial.batch_kind)


def assert_equals_solo(trained, point, **tolerance):
  (trial,) = grid.resolve([point])
  state, history = solo_run(trial)
  solo, own = dict(state.params), dict(trained.params)
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(
      a[tuple(slice(n) for n in np.shape(b))], b, **(SOLO | tolerance)
    ),
    own.pop("objective", {}),  # padded still
    solo.pop("objective", {}),
  )
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, **(SOLO | tolerance)),
    (own, trained.history),
    (solo, history),
  )


# The network inside the mask; the one that fills it, of each, is slow.
SIZES = (3, pytest.param(70, marks=pytest.mark.slow))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", OBJECTIVES)
def test_every_trial_equals_its_solo_run(name, size):
  points = points_of(name)
  for trained, point in zip(run(points), points, strict=True):
    if point["latent_size"] != size:
      continue
    assert trained.row["status"] == "ok"
    # A code halfway between two vectors takes either, by rounding; Adam then
    # moves a number by up to the learning rate, 1e-3, another way.
    tolerance = {"atol": 1e-3} if name == "vq_vae" else {}
    assert_equals_solo(trained, point, **tolerance)


@pytest.fixture
def optimized():
  """Programs are compiled as users run them."""

  def compile_anew(disabled):
    jax.config.update("jax_disable_most_optimizations", disabled)
    jax.clear_caches()
    SOLO_RUNS.clear()

  told = jax.config.values["jax_disable_most_optimizations"]
  compile_anew(disabled=False)
  yield
  compile_anew(told)


@pytest.mark.usefixtures("optimized")
@pytest.mark.parametrize("name", ["contractive", "vae"])
def test_an_optimized_program_equals_its_solo_runs(name):
  points = points_of(name)
  for trained, point in zip(run(points), points, strict=True):
    assert_equals_solo(trained, point)


@pytest.mark.parametrize(
  "setting",
  [
    {"network": "conv", "widths": (4, 8)},
    {"widths": ()},
    {"widths": (16, 8), "activation": "tanh"},
    {"likelihood": "sigmoid_gaussian", "schedule": "cosine"},
    {"likelihood": "bernoulli", "code": "relu"},
    {"likelihood": "logistic_mixture", "objective": "vae"},
    {"objective": "denoising", "corruption": "salt_and_pepper"},
    {"objective": "contractive", "estimator": "hutchinson"},
    {"objective": "contractive", "estimator": "subset", "num_samples": 5}
    | {"widths": (16, 8), "code": "tanh"},
    {"batch_size": 1000},
  ],
  ids=str,
)
def test_static_settings_equal_their_solo_run(setting):
  points = [
    {"objective": "autoencoder"} | SHORT | {"latent_size": size} | setting
    for size in (2, 5)
  ]
  masked, _ = run(points)
  assert_equals_solo(masked, points[0])


def test_parameters_of_an_objective_that_are_no_floats_are_told():
  def init(model, params, key, **_):
    return {"count": jnp.zeros((), jnp.int32)}

  @needs_params(init)
  def counts(model, params, key, batch):
    return 0.0 * params["decoder"]["latent"]["bias"].sum(), {}

  with pytest.raises(UsageError, match="counts has parameters that are no flo"):
    run([SHORT | {"objective": counts}])


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


def test_cutting_a_group_into_chunks_changes_no_result():
  points = [SHORT | p for p in grid.product(latent_size=(2, 9), seed=range(5))]
  trials = grid.resolve(points)
  pipeline = InMemory(DIGITS)
  whole = program.compile_program(trials, pipeline, Placement(2, 8))
  two = program.compile_program(trials, pipeline, Placement(2, 1))
  assert two.memory_bytes < whole.memory_bytes
  sizes = []

  def count(trials, epoch, terms):
    if epoch == 1:
      sizes.append(len(trials))
    assert all(len(term) == len(trials) for term in terms.values())

  uncut = run(points)
  cut = run(
    points,
    memory_bytes=int(two.memory_bytes * 1.05),
    on_epoch=count,
  )
  assert sizes == [2] * 5
  for a, b in zip(uncut, cut, strict=True):
    jax.tree.map(
      lambda x, y: np.testing.assert_allclose(x, y, **SOLO),
      (a.params, a.history),
      (b.params, b.history),
    )


def test_memory_for_the_state_alone_trains_one_trial_at_a_time():
  points = [SHORT | {"seed": seed} for seed in (0, 1)]
  sizes = []
  run(
    points,
    memory_bytes=40_000,  # parameters and moments: 2,476 x 3 x 4 bytes
    on_epoch=lambda trials, epoch, terms: sizes.append(len(trials)),
  )
  assert sizes == [1] * 6


def test_a_trial_that_cannot_fit_the_memory_is_told_before_training():
  with pytest.raises(UsageError, match=r"takes 1.* GB .*0\.001 GB are given"):
    run([{"latent_size": 10**6}], memory_bytes=10**6)


def test_done_trials_are_left_out_and_the_others_do_not_change():
  points = [SHORT | {"seed": seed} for seed in range(4)]
  trials = grid.resolve(points)
  pipeline = InMemory(DIGITS)
  memory = sweep.half_of_memory()
  (whole,) = sweep.train_chunks(trials, pipeline, memory_bytes=memory)
  done = {trials[0].id, trials[2].id}
  (rest,) = sweep.train_chunks(trials, pipeline, memory_bytes=memory, done=done)
  assert rest.trials == [trials[1], trials[3]]
  np.testing.assert_allclose(
    rest.history["loss"], whole.history["loss"][[1, 3]], **SOLO
  )
  assert not list(
    sweep.train_chunks(
      trials, pipeline, memory_bytes=memory, done={t.id for t in trials}
    )
  )


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
    own = {k: v for k, v in trial.hyper.items() if k not in grid.TRACED}
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
  points = [SHORT | {"num_epochs": 1} | point for point in points]
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
  keys, hyper = program.stack(trials)
  run = program.build(trials, DIGITS.shape[1:], len(DIGITS))
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
  keys, _ = program.stack(trials)
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
    sweep.run([point], DIGITS.reshape(-1, 64), TEST.reshape(-1, 64))


def let_fail(monkeypatch, message, most=1):
  """Programs of more than so many trials fail; returns the tried sizes."""
  tried = []

  def failing(program, part, *arguments):
    tried.append(program.placement.size)
    if program.placement.size > most:
      raise jax.errors.JaxRuntimeError(message)
    return run_program(program, part, *arguments)

  monkeypatch.setattr(sweep, "run_program", failing)
  return tried


def test_out_of_memory_halves_the_program_down_to_one_trial(monkeypatch):
  points = [SHORT | {"seed": seed} for seed in range(5)]
  expected = run(points)
  tried = let_fail(monkeypatch, "RESOURCE_EXHAUSTED: Out of memory")
  monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
  results = run(points)
  assert tried == [8, 4, 2, 1, 1, 1, 1, 1]
  for one, other in zip(results, expected, strict=True):
    assert one.row["id"] == other.row["id"]
    jax.tree.map(
      lambda x, y: np.testing.assert_allclose(x, y, **SOLO),
      one.params,
      other.params,
    )


def test_out_of_memory_on_a_cpu_ends_the_process_with_a_smaller_layout(
  monkeypatch,
):
  points = [SHORT | {"seed": seed} for seed in range(5)]
  trials, pipeline, placements = grid.resolve(points), InMemory(DIGITS), {}
  options = {"memory_bytes": 10**9, "placements": placements}
  message = "INTERNAL: Error dispatching computation: Out of memory"
  for tried in ([8], [4], [2]):
    assert let_fail(monkeypatch, message) == []
    with pytest.raises(OutOfMemory, match="in a new process") as raised:
      next(sweep.train_chunks(trials, pipeline, **options))
    assert placements == {raised.value.key: raised.value.placement}
    assert raised.value.placement.size == tried[0] // 2
  tried = let_fail(monkeypatch, message)
  assert len([*sweep.train_chunks(trials, pipeline, **options)]) == 5
  assert tried == [1] * 5


def test_one_trial_in_a_wide_program_is_halved_too(monkeypatch):
  points = [SHORT | {"seed": seed} for seed in range(9)]
  tried = let_fail(monkeypatch, "RESOURCE_EXHAUSTED", most=2)
  monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
  trials, pipeline = grid.resolve(points), InMemory(DIGITS)
  done = {trial.id for trial in trials[1:]}
  options = {"memory_bytes": 10**9, "done": done}
  (chunk,) = sweep.train_chunks(trials, pipeline, **options)
  assert len(chunk.trials) == 1
  assert tried == [16, 8, 4, 2]


def test_one_trial_that_does_not_fit_is_told(monkeypatch):
  let_fail(monkeypatch, "Out of memory allocating 9 bytes", most=0)
  with pytest.raises(UsageError, match="one trial of autoencoder does not fit"):
    run([SHORT])


def test_other_failures_of_the_device_are_raised(monkeypatch):
  let_fail(monkeypatch, "INTERNAL: the device is lost", most=0)
  with pytest.raises(jax.errors.JaxRuntimeError, match="device is lost"):
    run([SHORT])
