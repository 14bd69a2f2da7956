"""Every objective of the table: finite, its gradients, its mask."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from small_objectives import (
  KEY,
  X,
  batch_of,
  floats,
  loss_and_terms,
  network,
  params_of,
  stateless,
)

from ae_jax.declarations import of_objective
from ae_jax.likelihoods import LIKELIHOODS
from ae_jax.networks import CODES, Spec, autoencoder
from ae_jax.objectives import OBJECTIVES
from ae_jax.settings import hyper_parameters


@pytest.mark.parametrize("name", OBJECTIVES)
def test_loss_and_terms_are_finite_scalars(name):
  loss, terms = loss_and_terms(name)
  assert loss.shape == ()
  assert "reconstruction" in terms
  assert all(np.isfinite(v) and v.shape == () for v in (loss, *terms.values()))


STATIC = {
  "corruption": ["gaussian", "masking", "salt_and_pepper"],
  "estimator": ["exact", "hutchinson", "subset"],
  "num_samples": [1, 2, 3],
  "kind": ["I", "II"],
  "doubly_reparameterized": [False],  # it is no gradient of a function
  "selection": ["example"],  # of a batch: its state is another
  "decoder_norms": [True, False],
  "regularizer": ["l2", "gradient"],
  "num_codes": [64],
  "code_dim": [1],
  "discriminator_width": [128],
  "num_pseudo_inputs": [64],
  "num_classes": [10],
  "pairs": ["one_factor"],  # says how pairs are drawn
}
# Their gradients are meant to be others than the loss's.
STOPPED = {"vq_vae", "fsq", "factor_vae"}


def random_hyper(name, rng):
  """Floats from a hundredth of their default to a hundred times it."""
  hyper = hyper_parameters("objective", OBJECTIVES[name])
  for key, default in hyper.items():
    if key == "kind" and name == "layerwise":
      hyper[key] = "plain"
    elif key in STATIC:
      hyper[key] = STATIC[key][rng.integers(len(STATIC[key]))]
    else:
      drawn = default * 10 ** rng.uniform(-2, 2)
      hyper[key] = np.clip(drawn, *of_objective(OBJECTIVES[name]).ranges[key])
  if name == "denoising":  # a probability
    hyper["noise"] = min(hyper["noise"], 1.0)
  return hyper


SOME_SEEDS = (
  0,
  *(pytest.param(n, marks=pytest.mark.slow) for n in range(1, 9)),
)


@pytest.mark.parametrize("seed", SOME_SEEDS)
@pytest.mark.parametrize("name", sorted({*OBJECTIVES} - STOPPED))
def test_gradients_match_finite_differences(name, seed):
  rng = np.random.default_rng(seed)
  model, params = network(
    name,
    likelihood=[*LIKELIHOODS][seed % len(LIKELIHOODS)],
    widths=[(5,) if name == "conditional_vae" else (), (4,), (6, 4)][
      rng.integers(3)
    ],
    activation=["tanh", "sigmoid", "silu"][rng.integers(3)],
  )
  hyper = random_hyper(name, rng)
  with jax.enable_x64(True):  # in float32 the differences would be noise
    double = jax.tree.map(lambda p: jnp.asarray(p, jnp.float64), params)
    x = batch_of(name, jnp.asarray(X, jnp.float64))

    @jax.jit
    @jax.value_and_grad
    def loss(p):
      return OBJECTIVES[name](model, p, KEY, x, **hyper)[0]

    _, gradient = loss(double)
    direction = jax.tree.map(lambda p: rng.normal(size=p.shape), double)
    eps = 1e-4
    after, before = (
      loss(jax.tree.map(lambda p, d, e=e: p + e * d, double, direction))[0]
      for e in (eps, -eps)
    )
    slope = optax.tree.vdot(gradient, direction)
    # Second-order error of the differences, about eps^2 = 1e-8.
    np.testing.assert_allclose(
      (after - before) / (2 * eps), slope, rtol=1e-5, atol=1e-6
    )


# Every objective at one output and width; the rest is slow.
FAST = {*zip(OBJECTIVES, itertools.cycle(LIKELIHOODS), itertools.repeat(785))}


@pytest.mark.parametrize(
  ("name", "likelihood", "width"),
  [
    pytest.param(*case, marks=[] if case in FAST else pytest.mark.slow)
    for case in itertools.product(
      OBJECTIVES, LIKELIHOODS, (1, 2, 7, 64, 785, 4096)
    )
  ],
)
def test_losses_are_finite_at_logits_of_a_thousand(name, likelihood, width):
  code = of_objective(OBJECTIVES[name]).code or "linear"
  spec = Spec((width,), 3, widths=(5,), code=code, likelihood=likelihood)
  model = autoencoder(spec)

  def decode(params, z):
    y = model.decode(params, z)
    return 1e3 * y / jnp.maximum(jnp.max(jnp.abs(y)), 1e-3)

  @jax.jit
  def value_and_grad(params, x):
    return jax.value_and_grad(stateless(name), argnums=1, has_aux=True)(
      model._replace(decode=decode), params, KEY, x, **floats(name)
    )

  x = np.random.default_rng(0).uniform(size=(4, width)).astype(np.float32)
  x[1], x[2] = 0, 1
  params = params_of(name, model)
  for leaf in jax.tree.leaves(value_and_grad(params, batch_of(name, x))):
    assert np.isfinite(leaf).all()


ESTIMATORS = [
  {},
  {"estimator": "hutchinson", "num_samples": 2},
  {"estimator": "subset", "num_samples": 2},
]


@pytest.mark.parametrize(
  ("name", "static"),
  [
    *((name, {}) for name in OBJECTIVES),
    *(("contractive", estimator) for estimator in ESTIMATORS[1:]),
  ],
)
def test_masked_units_change_nothing(name, static):
  # Mask of 3 in 4 against a network of 3: same key, same loss.
  loss, _ = loss_and_terms(name, **static)
  code = of_objective(OBJECTIVES[name]).code or "linear"
  true = autoencoder(Spec((5,), 3, widths=(4,), activation="tanh", code=code))
  objective = functools.partial(stateless(name), true, **floats(name), **static)
  expected, _ = jax.jit(objective)(params_of(name, true), KEY, batch_of(name))
  # Sums over a longer axis may round in another order.
  np.testing.assert_allclose(loss, expected, rtol=1e-6)


def test_codes_that_objectives_ask_for_exist():
  for objective in OBJECTIVES.values():
    assert (of_objective(objective).code or "linear") in CODES
