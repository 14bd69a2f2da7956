"""Counts of operations: by hand, and by XLA."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ae_jax import grid
from ae_jax.engine.group import group_trainer, stack
from ae_jax.networks import Spec, autoencoder
from ae_jax.objectives import OBJECTIVES
from experiments.benchmarks import flops, problems


@pytest.mark.parametrize("widths", [(512, 256), (128,), ()])
def test_operations_are_those_that_xla_counts(widths):
  spec = Spec((784,), 32, widths=widths)
  model = autoencoder(spec)
  params = jax.eval_shape(model.init, jax.random.key(0))
  x = jnp.zeros((128, 784))

  def reconstruct(params, x):
    return model.decode(params, model.encode(params, x))

  def loss(params, x):
    return jnp.mean(model.nll(x, reconstruct(params, x)))

  weights = sum(p.size for p in jax.tree.leaves(params) if p.ndim == 2)
  forward = flops.xla_count(jax.jit(reconstruct), params, x)
  step = flops.xla_count(jax.jit(jax.grad(loss)), params, x)
  # XLA also counts biases, activations and the loss: a few operations each
  # unit, where a product has two for each of its inputs.
  np.testing.assert_allclose(2 * 128 * weights, forward, rtol=0.04)
  np.testing.assert_allclose(
    flops.of_matrix_products(params, 128), step, rtol=0.04
  )


@pytest.mark.parametrize(
  "settings",
  [{"network": "conv"}, *({"objective": name} for name in OBJECTIVES)],
)
def test_every_trial_has_a_count(settings):
  (trial,) = grid.resolve([{"batch_size": 16, **settings}])
  data = np.zeros((20, 8, 8), np.float32)
  one = group_trainer([trial], data.shape[1:], len(data))
  key, hyper = jax.tree.map(lambda x: x[0], stack([trial]))
  params = jax.eval_shape(one.init, key, hyper).params
  count = flops.of_step(trial, data)
  assert count > 16 * sum(p.size for p in jax.tree.leaves(params))


def test_labels_and_pairs_count_as_what_they_are():
  problem = problems.QUICK["64-16-4"]

  def count(objective):
    (trial,) = grid.resolve(problem.points(1, objective=objective))
    return flops.of_step(trial, problem.data())

  assert 1 < count("conditional_vae") / count("vae") < 1.5
  for of_pairs in ("ada_gvae", "gvae"):
    assert 2 < count(of_pairs) / count("vae") < 2.75
