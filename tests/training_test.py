"""One trial: data order, schedules, divergence, and PCA as the oracle."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy.linalg import subspace_angles
from sklearn.datasets import load_digits

from ae_jax import pca
from ae_jax.epoch_order import epoch_order
from ae_jax.metrics.reconstruction import squared_errors
from ae_jax.networks import Spec
from ae_jax.objectives import OBJECTIVES
from ae_jax.schedules import LEARNING_RATE_SCHEDULES, make_schedule
from ae_jax.training import trainer

DIGITS = (load_digits().data / 16).astype(np.float32)
HYPER = {"learning_rate": 1e-3, "latent_size": 4}
KEY = jax.random.key(0)


def fed(model, params, key, batch, *, weight: float = 1.0):
  """An objective that tells what it was fed with."""
  loss, _ = OBJECTIVES["autoencoder"](model, params, key, batch)
  noise = jax.random.normal(key)
  return weight * loss, {"first": batch[0, 0], "noise": noise}


def test_linear_autoencoder_finds_the_subspace_of_pca():
  spec = Spec((64,), 8, widths=())
  train = trainer(
    OBJECTIVES["autoencoder"],
    spec,
    num_epochs=300,
    schedule=make_schedule("cosine", {}, 300 * (len(DIGITS) // 128)),
  ).train
  state, _ = jax.jit(train)(
    jax.random.key(0), {"learning_rate": 2e-2, "latent_size": 8}, DIGITS
  )
  fitted = pca.fit(DIGITS)
  best = pca.squared_errors(fitted, DIGITS)[8]
  model = trainer(OBJECTIVES["autoencoder"], spec, num_epochs=1).model(
    {"latent_size": 8}
  )
  error = jax.jit(lambda p: squared_errors(model, p, DIGITS).mean())(
    state.params
  )
  # Never below the optimum: 1e-6 is the rounding of a float32 mean.
  assert best * (1 - 1e-6) <= error <= 1.01 * best
  kernel = np.asarray(state.params["decoder"]["latent"]["kernel"])
  angles = subspace_angles(kernel.T, fitted.components[:8].T)
  # 0.8 degrees were seen; eigenvalues 8 and 9 are only 8% apart.
  assert np.degrees(angles.max()) < 3


def test_an_epoch_sees_each_example_once_in_an_order_of_its_seed():
  data = np.arange(12, dtype=np.float32)[:, None]
  spec = Spec((1,), 4, widths=())
  run = trainer(fed, spec, num_epochs=2, batch_size=1)
  _, history = jax.jit(run.train)(jax.random.key(0), HYPER, data)
  np.testing.assert_allclose(history["first"], 5.5)  # the mean of 0 ... 11
  run = trainer(fed, spec, num_epochs=2, batch_size=12)

  @jax.jit
  def first(seed, hyper):
    _, history = run.train(jax.random.key(seed), hyper, data)
    return history["first"], history["noise"]

  other = HYPER | {"learning_rate": 0.1, "latent_size": 2, "weight": 3.0}
  hyper = HYPER | {"weight": 1.0}
  order, noise = first(0, hyper)
  np.testing.assert_array_equal((order, noise), first(0, other))
  assert noise[0] != noise[1]
  others = [first(seed, hyper)[0] for seed in range(1, 9)]
  assert any((order != o).any() for o in others)


def test_bytes_are_read_as_the_unit_interval():
  data = np.random.default_rng(0).integers(0, 256, (20, 5)).astype(np.uint8)
  run = trainer(
    OBJECTIVES["autoencoder"], Spec((5,), 4, widths=()), num_epochs=1
  )
  _, bytes_history = jax.jit(run.train)(jax.random.key(0), HYPER, data)
  _, floats_history = jax.jit(run.train)(
    jax.random.key(0), HYPER, (data / 255).astype(np.float32)
  )
  # Float32 against float64 division by 255: an ulp.
  np.testing.assert_allclose(
    bytes_history["loss"], floats_history["loss"], rtol=1e-5
  )


def test_a_step_is_a_step_of_adam():
  run = trainer(OBJECTIVES["autoencoder"], Spec((64,), 4), num_epochs=1)
  batch = jnp.asarray(DIGITS[:8])
  state = jax.jit(run.init)(jax.random.key(0), HYPER)
  after, step = state, jax.jit(run.step)
  for _ in range(3):
    after, terms = step(after, batch, HYPER)
  adam = optax.adam(HYPER["learning_rate"])
  params, opt_state = state.params, adam.init(state.params)
  value_and_grad = jax.jit(
    jax.value_and_grad(lambda p: run.loss(p, state.key, batch, HYPER)[0])
  )
  for _ in range(3):
    value, grads = value_and_grad(params)
    updates, opt_state = adam.update(grads, opt_state)
    params = optax.apply_updates(params, updates)
  np.testing.assert_allclose(terms["loss"], value, rtol=1e-5)
  # Adam divides by the root of tiny squared gradients: ulps grow to 1e-6.
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=2e-6),
    after.params,
    params,
  )


@pytest.mark.parametrize("name", LEARNING_RATE_SCHEDULES)
def test_schedule_scales_the_learning_rate_by_step(name):
  # With a constant gradient, Adam's step is the learning rate itself.
  def slope(model, params, key, batch):
    del model, key, batch
    return params["decoder"]["latent"]["bias"].sum(), {}

  run = trainer(
    slope,
    Spec((1,), 4, widths=()),
    num_epochs=4,
    batch_size=1,
    schedule=make_schedule(name, {}, 4),
  )
  hyper = HYPER | {"learning_rate": 0.1}
  state, step = jax.jit(run.init)(KEY, hyper), jax.jit(run.step)
  batch, positions = jnp.zeros((1, 1)), [0.0]
  for _ in range(4):
    state, _ = step(state, batch, hyper)
    positions.append(float(state.params["decoder"]["latent"]["bias"][0]))
  factors = {
    "constant": np.ones(4),
    "linear": 1 - np.arange(4) / 4,
    "cosine": 0.5 * (1 + np.cos(np.pi * np.arange(4) / 4)),
  }[name]
  # Adam's bias correction 1 - 0.999^t is a difference of float32: 2e-5.
  np.testing.assert_allclose(
    np.diff(positions), -0.1 * factors, rtol=5e-5, atol=1e-6
  )


@pytest.mark.diverges
def test_divergence_freezes_the_trial_at_its_step():
  def bursts(model, params, key, batch, *, until: float = 3.0):
    loss, _ = OBJECTIVES["autoencoder"](model, params, key, batch)
    return jnp.where(batch[0, 0] >= until, jnp.nan, loss), {}

  run = trainer(bursts, Spec((2,), 4, widths=()), num_epochs=1, batch_size=1)
  step = jax.jit(run.step)
  state = jax.jit(run.init)(KEY, HYPER)
  states = [state]
  for i in (0, 1, 2, 3, 0):
    state, terms = step(state, jnp.full((1, 2), float(i)), HYPER)
    states.append(state)
  assert [int(s.diverged_at) for s in states] == [-1, -1, -1, -1, 3, 3]
  assert np.isnan(terms["loss"])  # finite again, but not of a trained model
  for later in states[4:]:
    jax.tree.map(
      np.testing.assert_array_equal,
      (later.params, later.opt_state),
      (states[3].params, states[3].opt_state),
    )
  moved = jax.tree.map(
    lambda a, b: bool((a != b).any()), states[3].params, states[2].params
  )
  assert any(jax.tree.leaves(moved))


def test_training_can_be_differentiated():
  run = trainer(OBJECTIVES["sparse"], Spec((64,), 4, widths=()), num_epochs=2)

  def last_loss(strength):
    hyper = HYPER | {"strength": strength}
    _, history = run.train(jax.random.key(0), hyper, DIGITS[:256])
    return history["loss"][-1]

  value_and_grad = jax.jit(jax.value_and_grad(last_loss))
  _, slope = value_and_grad(0.1)
  difference = (value_and_grad(0.15)[0] - value_and_grad(0.05)[0]) / 0.1
  # Curvature over the difference of 0.1.
  np.testing.assert_allclose(slope, difference, rtol=0.02)


def test_squared_errors_of_model_and_pca_are_in_the_same_units():
  # A linear decoder of PCA's own components is PCA.
  spec = Spec((8, 8), 3, widths=())
  train, test = DIGITS[:1000].reshape(-1, 8, 8), DIGITS[1000:].reshape(-1, 8, 8)
  fitted = pca.fit(DIGITS[:1000])
  v = fitted.components[:3].astype(np.float32)
  mean = fitted.mean.astype(np.float32)
  params = {
    "encoder": {"code": {"kernel": v.T, "bias": -v @ mean}},
    "decoder": {"latent": {"kernel": v, "bias": mean}},
  }
  model = trainer(OBJECTIVES["autoencoder"], spec, num_epochs=1).model(
    {"latent_size": 3}
  )
  for data in (train, test):
    error = jax.jit(lambda d: squared_errors(model, params, d).mean())(data)
    # Float32 sums against float64.
    np.testing.assert_allclose(
      error, pca.squared_errors(fitted, data.reshape(-1, 64))[3], rtol=1e-5
    )


def test_initialization_noise_and_order_have_keys_of_their_own(monkeypatch):
  used = []
  bits = jax.random.bits

  def spy(key, *arguments):
    used.append(key)
    return bits(key, *arguments)

  monkeypatch.setattr(jax.random, "bits", spy)
  with jax.disable_jit():
    for epoch in range(2):
      epoch_order(KEY, epoch, 6, 2)
  assert len(used) == 2
  monkeypatch.undo()

  def reveal(model, params, key, batch):
    loss, _ = OBJECTIVES["autoencoder"](model, params, key, batch)
    words = jax.random.key_data(key)
    parts = jnp.stack([words >> 16, words & 0xFFFF], axis=1)  # exact as floats
    return loss, {"words": parts.astype(jnp.float32)}

  run = trainer(reveal, Spec((64,), 4, widths=()), num_epochs=2, batch_size=2)
  state, step = jax.jit(run.init)(KEY, HYPER), jax.jit(run.step)
  keys = {tuple(map(int, jax.random.key_data(key))) for key in used}
  for _ in range(6):
    state, terms = step(state, DIGITS[:2], HYPER)
    high, low = np.asarray(terms["words"], np.int64).T
    keys.add(tuple(map(int, (high << 16) | low)))
  # Two orders and six noises, none the same, none the trial's key itself.
  others = KEY, jax.random.fold_in(KEY, 0)  # the second initializes
  assert len(keys) == 2 + 6
  assert not {tuple(map(int, jax.random.key_data(k))) for k in others} & keys


def test_the_order_of_the_data_changes_from_epoch_to_epoch():
  data = np.arange(50, dtype=np.float32)[:, None]
  run = trainer(fed, Spec((1,), 4, widths=()), num_epochs=4, batch_size=50)
  _, history = jax.jit(run.train)(jax.random.key(0), HYPER, data)
  assert len({float(first) for first in history["first"]}) > 1


@pytest.mark.diverges
def test_a_gradient_that_is_not_finite_freezes_the_trial_too():
  def kinked(model, params, key, batch):
    del model, key
    bias = params["decoder"]["latent"]["bias"]
    return jnp.sqrt(jnp.sum(bias**2)) + batch.sum(), {}  # inf * 0 at bias 0

  run = trainer(kinked, Spec((2,), 4), num_epochs=1)
  state = jax.jit(run.init)(KEY, HYPER)
  after, terms = jax.jit(run.step)(state, jnp.ones((1, 2)), HYPER)
  assert int(after.diverged_at) == 0
  assert np.isnan(terms["loss"])
  jax.tree.map(np.testing.assert_array_equal, after.params, state.params)


def test_a_gaussian_code_is_evaluated_at_its_mean():
  run = trainer(
    OBJECTIVES["vae"], Spec((64,), 3, code="gaussian"), num_epochs=1
  )
  params = jax.jit(run.init)(KEY, {"learning_rate": 1e-3}).params
  model = run.model({})
  error = jax.jit(lambda p: squared_errors(model, p, DIGITS).mean())(params)
  mean = model.encode(params, DIGITS).mean
  residual = DIGITS - np.asarray(model.decode(params, mean))
  # Float32 means over blocks of another size.
  np.testing.assert_allclose(error, np.mean(np.sum(residual**2, 1)), rtol=1e-5)
