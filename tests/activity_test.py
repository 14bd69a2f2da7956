"""Activations and Jacobians of a code against NumPy, at any scale."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from random_model import DIGITS, X, random_model

from ae_jax.metrics import activity
from ae_jax.metrics.eval_data import eval_data


def test_activations():
  rng = np.random.default_rng(0)
  z = rng.normal(size=(50, 4)).astype(np.float32)
  z[:, 1] = 3.0  # dead, though never 0
  z[:20, 2] = 0.0
  z[:, 3] = 0.0  # masked
  columns, units = activity.activations(z, jnp.array([1.0, 1.0, 1.0, 0.0]))
  assert columns["dead_units"] == 1
  # float32 means of 150 numbers.
  assert columns["code_mean"] == pytest.approx(z[:, :3].mean(), rel=1e-5)
  active = (np.abs(z) > 1e-3 * z.std(axis=0)) & (z.std(axis=0) > 1e-3)
  assert columns["active_share"] == pytest.approx(
    active[:, :3].mean(), rel=1e-6
  )
  np.testing.assert_allclose(units["std"], z.std(0), atol=1e-6)
  np.testing.assert_allclose(units["mean"], z.mean(0), atol=1e-6)
  np.testing.assert_allclose(units["active_share"], [1, 0, 0.6, 0], atol=1e-6)


def test_what_is_said_of_activations_is_the_same_at_any_scale():
  """Above 1e-3 in magnitude were .997 of the first and .003 of the last."""
  z = np.random.default_rng(0).normal(size=(50, 4)).astype(np.float32)
  z[:30, 2] = 0.0
  z[:, 3] = 1e-9 * z[:, 0]
  found = [
    activity.activations(jnp.asarray(z * scale), jnp.ones(4))[0]
    for scale in (1.0, 1e-3, np.float32([1e-2, 30.0, 1.0, 1e-2]))
  ]
  assert found[0]["dead_units"] == 1
  for name in ("active_share", "dead_units", "hoyer_sparsity"):
    np.testing.assert_allclose(
      [columns[name] for columns in found], found[0][name], rtol=1e-5
    )


def test_the_relative_norm_of_the_jacobian_is_the_same_at_any_scale():
  spec, _, params = random_model()
  code = params["encoder"]["code"]
  smaller = params | {
    "encoder": params["encoder"]
    | {"code": jax.tree.map(lambda p: 1e-3 * p, code)}
  }
  both = jax.tree.map(lambda *p: jnp.stack(p), params, smaller)
  columns, _ = activity.measure(
    spec, both, jnp.array([5, 5]), eval_data(DIGITS)
  )
  large, small = columns["test_jacobian_norm"]
  np.testing.assert_allclose(small, 1e-3 * large, rtol=1e-5)
  large, small = columns["test_relative_jacobian_norm"]
  np.testing.assert_allclose(small, large, rtol=1e-5)
  assert large > 0


def test_hoyer_sparsity_of_known_codes():
  z = jnp.array([[0.0, 2, 0, 0], [-1, 1, 1, 1], [3, 4, 0, 0], [0, 0, 0, 0]])
  of_345 = (2 - 7 / 5) / (2 - 1)
  expected = (1 + 0 + of_345) / 3
  assert activity.hoyer_sparsity(z, 4) == pytest.approx(expected, rel=1e-6)
  assert activity.hoyer_sparsity(z[:, :1], 1) == 0


@pytest.mark.parametrize("latent_size", [5, 70])
@pytest.mark.parametrize("code", ["linear", "gaussian"])
def test_the_jacobian_and_its_singular_values(latent_size, code):
  _, model, params = random_model(
    latent_size=latent_size, code=code, activation="tanh"
  )
  x = X[:37]
  norms, values = jax.jit(lambda: activity.jacobian(model, params, x))()

  def encode(x):
    z = model.encode(params, x)
    return z.mean if code == "gaussian" else z

  jacobians = np.asarray(jax.vmap(jax.jacfwd(encode))(x), np.float64)
  np.testing.assert_allclose(
    norms, np.linalg.norm(jacobians, axis=(1, 2)), rtol=1e-5
  )
  expected = np.linalg.svd(jacobians, compute_uv=False)
  assert values.shape == expected.shape == (37, min(latent_size, 64))
  # A root of a float32 eigenvalue: 3e-4 of the largest, as documented.
  np.testing.assert_allclose(
    np.mean(values, axis=0),
    np.mean(expected, axis=0),
    atol=4e-4 * np.mean(expected[:, 0]),
  )
