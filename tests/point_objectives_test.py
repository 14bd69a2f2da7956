"""Objectives of point codes: limits, penalties, gradients."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from small_objectives import (
  KEY,
  X,
  network,
  params_of,
)

from ae_jax import corruptions
from ae_jax.networks import Spec
from ae_jax.objectives import OBJECTIVES
from ae_jax.training import trainer
from ae_jax.types import UsageError

ESTIMATORS = [
  {},
  {"estimator": "hutchinson", "num_samples": 2},
  {"estimator": "subset", "num_samples": 2},
]


@pytest.mark.parametrize(
  ("name", "off"),
  [
    ("sparse", {"strength": 0.0}),
    ("sparse_kl", {"strength": 0.0}),
    ("sparse_student_t", {"strength": 0.0}),
    ("contractive", {"strength": 0.0}),
    ("rae", {"code_weight": 0.0, "decoder_weight": 0.0}),
    ("layerwise", {"stage": 1.0}),
    ("k_sparse", {"k": 3.0}),
    ("k_sparse", {"k": 3.0, "selection": "batch"}),
    ("denoising", {"noise": 0.0, "corruption": "gaussian"}),
    ("denoising", {"noise": 0.0, "corruption": "masking"}),
    ("denoising", {"noise": 0.0, "corruption": "salt_and_pepper"}),
  ],
)
def test_switched_off_it_is_the_plain_autoencoder(name, off):
  model, _ = network(name)
  params = params_of(name, model, **off)

  def value_and_grad(objective, **hyper):
    return jax.jit(
      jax.value_and_grad(lambda p: objective(model, p, KEY, X, **hyper)[0])
    )(params)

  plain = value_and_grad(OBJECTIVES["autoencoder"])
  mine = value_and_grad(OBJECTIVES[name], **off)
  # The same operations in another order of fusion: a few float32 ulps.
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-7),
    plain,
    mine,
  )


@pytest.mark.parametrize(
  "name", ["sparse", "sparse_kl", "sparse_student_t", "contractive"]
)
def test_penalty_is_reported_unweighted(name):
  model, params = network(name)
  small, terms = OBJECTIVES[name](model, params, KEY, X, strength=0.5)
  large, same = OBJECTIVES[name](model, params, KEY, X, strength=2.0)
  assert terms == same
  np.testing.assert_allclose(large - small, 1.5 * terms["penalty"], rtol=1e-5)


def test_a_smaller_code_and_a_larger_decoder_are_penalized_alike():
  """The same function at a scale of 1e-3 once took the penalty down to it."""
  model, params = network("sparse", activation="relu", code="relu")
  encoder, decoder = params["encoder"], params["decoder"]
  smaller = {
    "encoder": encoder
    | {"code": jax.tree.map(lambda p: 1e-3 * p, encoder["code"])},
    "decoder": decoder
    | {
      "latent": decoder["latent"]
      | {"kernel": 1e3 * decoder["latent"]["kernel"]}
    },
  }
  for name in ("sparse", "sparse_student_t"):
    before, after = (
      OBJECTIVES[name](model, p, KEY, X)[1] for p in (params, smaller)
    )
    assert before["penalty"] > 0
    for term in ("reconstruction", "penalty"):
      np.testing.assert_allclose(after[term], before[term], rtol=1e-5)
  own = {"decoder_norms": False}
  before, after = (
    OBJECTIVES["sparse"](model, p, KEY, X, **own)[1] for p in (params, smaller)
  )
  np.testing.assert_allclose(
    after["penalty"], 1e-3 * before["penalty"], rtol=1e-5
  )


def test_units_of_a_linear_decoder_count_by_the_norms_of_its_columns():
  model, params = network("sparse", widths=())
  z = np.asarray(model.encode(params, X))
  norms = np.linalg.norm(params["decoder"]["latent"]["kernel"], axis=1)
  _, terms = OBJECTIVES["sparse"](model, params, KEY, X)
  expected = np.mean(np.sum(np.abs(z) * norms, axis=1))
  np.testing.assert_allclose(terms["penalty"], expected, rtol=1e-5)
  _, terms = OBJECTIVES["sparse_student_t"](model, params, KEY, X)
  expected = np.mean(np.sum(np.log1p((z * norms) ** 2), axis=1))
  np.testing.assert_allclose(terms["penalty"], expected, rtol=1e-5)


LAYERS = {"widths": (6, 4), "likelihood": "sigmoid_gaussian"}


@functools.cache
def layerwise(kind):
  model, _ = network("layerwise", **LAYERS)

  def loss(params, stage, strength):
    return OBJECTIVES["layerwise"](
      model, params, KEY, X, stage=stage, kind=kind, strength=strength
    )

  return jax.jit(jax.value_and_grad(loss, has_aux=True))


@pytest.mark.parametrize("stage", range(3))
@pytest.mark.parametrize(
  "kind", ["plain", "denoising", "sparse", "contractive"]
)
def test_a_stage_trains_one_layer_on_the_clean_codes_below(stage, kind):
  model, params = network("layerwise", **LAYERS)

  value_and_grad = layerwise(kind)

  def loss(params, strength=0.3):
    return value_and_grad(params, (stage + 0.5) / 3, strength)[0]

  (_, terms), gradient = value_and_grad(params, (stage + 0.5) / 3, 0.3)
  trained = {
    (part, name)
    for part, layers in gradient.items()
    for name, layer in layers.items()
    if np.any(layer["kernel"])
  }
  down, up = (
    ["hidden_0", "hidden_1", "code"],
    ["hidden_1", "hidden_0", "latent"],
  )
  assert trained == {("encoder", down[stage]), ("decoder", up[stage])}

  def dense(part, name, h):
    layer = jax.tree.map(np.asarray, params[part][name])
    return np.asarray(h) @ layer["kernel"] + layer["bias"]

  h = X
  for name in down[:stage]:
    h = np.tanh(dense("encoder", name, h))
  if kind == "plain":
    code = dense("encoder", down[stage], h)
    code = code * np.asarray(model.latent_mask) if stage == 2 else np.tanh(code)
    decoded = dense("decoder", up[stage], code)
    decoded = np.tanh(decoded) if stage else jax.nn.sigmoid(decoded)
    expected = 0.5 * np.mean(np.sum((h - decoded) ** 2, axis=1))
    np.testing.assert_allclose(loss(params)[0], expected, rtol=1e-5)
    assert loss(params, 3.0)[0] == loss(params)[0]
  else:
    assert loss(params, 3.0)[0] != loss(params)[0]
  if kind in ("sparse", "contractive"):
    without, _ = loss(params, 0.0)
    np.testing.assert_allclose(
      without, terms["layer_reconstruction"], rtol=1e-6
    )


def test_rae_penalizes_the_jacobian_of_the_decoder():
  model, params = network("rae", latent_size=4)
  z = model.encode(params, X)
  jacobians = jax.vmap(jax.jacfwd(lambda z: model.decode(params, z)))(z)
  _, terms = OBJECTIVES["rae"](model, params, KEY, X, regularizer="gradient")
  np.testing.assert_allclose(
    terms["decoder_penalty"], np.mean(np.sum(jacobians**2, (1, 2))), rtol=1e-5
  )
  _, terms = OBJECTIVES["rae"](model, params, KEY, X)
  squares = [np.sum(leaf**2) for leaf in jax.tree.leaves(params["decoder"])]
  np.testing.assert_allclose(terms["decoder_penalty"], sum(squares), rtol=1e-6)
  np.testing.assert_allclose(
    terms["code_penalty"], 0.5 * np.mean(np.sum(z**2, axis=1)), rtol=1e-6
  )


@pytest.mark.parametrize(
  ("corruption", "corrupt"),
  [
    ("gaussian", corruptions.gaussian),
    ("masking", corruptions.masking),
    ("salt_and_pepper", corruptions.salt_and_pepper),
  ],
)
def test_denoising_target_is_the_clean_input(corruption, corrupt):
  model, params = network("denoising")
  noisy = corrupt(KEY, jnp.asarray(X), 0.5)
  assert np.any(noisy != X)
  reconstruction = model.decode(params, model.encode(params, noisy))
  expected = np.mean(0.5 * np.sum((X - reconstruction) ** 2, axis=1))
  loss, _ = OBJECTIVES["denoising"](
    model, params, KEY, X, noise=0.5, corruption=corruption
  )
  np.testing.assert_allclose(loss, expected, rtol=1e-6)


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=str)
@pytest.mark.parametrize("widths", [(4,), (6, 4)])
def test_contractive_estimators_have_the_mean_of_jacfwd(widths, estimator):
  model, params = network("contractive", widths=widths)
  jacobians = jax.vmap(jax.jacfwd(lambda x: model.encode(params, x)))(X)
  expected = np.mean(np.sum(np.square(jacobians, dtype=float), axis=(1, 2)))
  keys = jax.random.split(KEY, 5000)
  losses, terms = jax.jit(
    jax.vmap(
      lambda k: OBJECTIVES["contractive"](model, params, k, X, **estimator)
    )
  )(keys)
  plain, _ = OBJECTIVES["autoencoder"](model, params, KEY, X)
  penalty = np.asarray(terms["penalty"], float)
  # Four standard errors, which are 0 of the exact form, and float32's rounding.
  error = np.std(penalty) / np.sqrt(len(keys))
  assert abs(np.mean(penalty) - expected) < 4 * error + 1e-6 * expected
  np.testing.assert_allclose(losses, plain + 0.1 * penalty, rtol=1e-6)


def test_a_part_as_large_as_the_batch_is_the_batch():
  model, params = network("contractive")
  exact, _ = OBJECTIVES["contractive"](model, params, KEY, X)
  whole, _ = OBJECTIVES["contractive"](
    model, params, KEY, X, estimator="subset", num_samples=100
  )
  np.testing.assert_allclose(whole, exact, rtol=1e-6)  # in another order


def test_an_unknown_estimator_is_an_error_that_lists_them():
  model, params = network("contractive")
  with pytest.raises(UsageError) as error:
    OBJECTIVES["contractive"](model, params, KEY, X, estimator="hutchison")
  assert (
    str(error.value)
    == "estimator is 'hutchison'; allowed: exact, hutchinson, subset"
  )


def test_the_exact_penalty_fits_into_100_mib():
  spec = Spec((784,), 32, widths=(512, 256), activation="tanh")
  run = trainer(OBJECTIVES["contractive"], spec, num_epochs=1)
  hyper = {"learning_rate": 1e-3}
  state = jax.eval_shape(lambda: run.init(KEY, hyper))
  batch = jax.ShapeDtypeStruct((128, 784), jnp.float32)
  compiled = jax.jit(run.step).lower(state, batch, hyper).compile()
  # jax.jacfwd takes ten times as much.
  assert compiled.memory_analysis().temp_size_in_bytes < 100 * 2**20
