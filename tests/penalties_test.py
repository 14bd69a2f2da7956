"""Tests of `penalties`, against NumPy, SciPy and a layer's closed form."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads
from scipy import special, stats

from ae_jax import penalties

# A float32 sum of a few dozen positive terms, each rounded by 2^-24 = 6e-8.
RTOL = 2e-6


def normal(*shape: int) -> np.ndarray:
  return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def rates(*shape: int) -> np.ndarray:
  rng = np.random.default_rng(0)
  return rng.uniform(0.02, 0.98, shape).astype(np.float32)


def test_l1_matches_numpy():
  z = normal(5, 8)
  expected = np.linalg.norm(z.astype(float), ord=1, axis=1)
  np.testing.assert_allclose(jax.jit(penalties.l1)(z), expected, RTOL)


def test_student_t_matches_numpy():
  z = normal(5, 8)
  expected = np.sum(np.log(1 + z.astype(float) ** 2), axis=1)
  np.testing.assert_allclose(jax.jit(penalties.student_t)(z), expected, RTOL)


def test_student_t_is_a_cauchy_density():
  # Student's t of one degree of freedom, up to its constant log pi.
  z = normal(5, 1)
  expected = -stats.t.logpdf(z[:, 0], df=1) - np.log(np.pi)
  # The constant cancels: ATOL is 2^-24 of it.
  np.testing.assert_allclose(
    jax.jit(penalties.student_t)(z), expected, RTOL, atol=1e-7
  )


@pytest.mark.parametrize("target", [0.05, 0.5, 0.9])
def test_kl_to_target_matches_scipy(target):
  z = rates(6, 8)
  rate = np.mean(z.astype(float), axis=0)
  expected = np.sum(
    stats.entropy([[target], [1 - target]], np.stack([rate, 1 - rate]))
  )
  actual = jax.jit(penalties.kl_to_target)(z, target, np.ones(8, np.float32))
  # The KL is a difference of cross-entropies of about 1 nat a unit: ATOL.
  np.testing.assert_allclose(actual, expected, RTOL, atol=2e-6)


def test_kl_to_target_is_zero_at_the_target():
  # The mean over the batch counts, and not the activation of an example.
  z = np.float32([[0.25, 0.5], [0.75, 0.5]])
  mask = np.ones(2, np.float32)
  value, gradient = jax.jit(jax.value_and_grad(penalties.kl_to_target))(
    z, 0.5, mask
  )
  # Zero up to the rounding of its two cross-entropies of 0.7 nats.
  np.testing.assert_allclose(value, 0, atol=2e-7)
  np.testing.assert_allclose(gradient, 0, atol=2e-7)


@pytest.mark.parametrize("padding", [0.0, 0.3])
def test_kl_to_target_leaves_masked_units_out(padding):
  value_and_grad = jax.jit(jax.value_and_grad(penalties.kl_to_target))
  z = rates(6, 3)
  padded = np.pad(z, [(0, 0), (0, 5)], constant_values=padding)
  mask = np.float32([1, 1, 1, 0, 0, 0, 0, 0])

  expected, expected_gradient = value_and_grad(z, 0.1, mask[:3])
  actual, gradient = value_and_grad(padded, 0.1, mask)

  # The same terms; a sum may take them in another order.
  np.testing.assert_allclose(actual, expected, rtol=5e-7)
  np.testing.assert_allclose(gradient[:, :3], expected_gradient, rtol=5e-7)
  np.testing.assert_array_equal(gradient[:, 3:], 0)


@pytest.mark.parametrize("features", [(7,), (4, 3, 2)])
def test_contractive_is_the_closed_form_of_a_sigmoid_layer(features):
  x = normal(5, *features)
  kernel = 0.3 * normal(x[0].size, 6)
  bias = normal(6)

  def encode(example):
    return jax.nn.sigmoid(example.reshape(-1) @ kernel + bias)

  # Rifai et al., 2011: sum_j (h_j (1 - h_j))^2 sum_i W_ij^2
  h = special.expit(x.reshape(5, -1).astype(float) @ kernel + bias)
  closed_form = (h * (1 - h)) ** 2 @ np.sum(kernel.astype(float) ** 2, axis=0)
  jacobian = jax.vmap(jax.jacrev(encode))(x).reshape(5, -1)

  actual = jax.jit(penalties.contractive, static_argnums=0)(encode, x)

  # A sum of over 40 squares, with the rounding of h(1-h) and of dot products.
  np.testing.assert_allclose(actual, closed_form, rtol=5e-6)
  np.testing.assert_allclose(actual, np.sum(jacobian**2, axis=1), rtol=5e-6)


@pytest.mark.parametrize(
  ("penalty", "z"),
  [
    (penalties.l1, normal(5, 8)),
    (penalties.student_t, normal(5, 8)),
    (
      lambda z: penalties.kl_to_target(z, 0.1, np.arange(8) < 6),
      rates(5, 8),
    ),
    (lambda x: penalties.contractive(jnp.tanh, x), normal(5, 8)),
  ],
  ids=["l1", "student_t", "kl_to_target", "contractive"],
)
def test_gradients(penalty, z):
  # In float64: differences in float32 would leave two digits to compare.
  with jax.enable_x64(True):
    check_grads(jax.jit(penalty), (z.astype(np.float64),), order=1)


def test_kl_to_target_survives_a_saturated_unit():
  # float32 rounds the sigmoid of 18 to 1, and that of -200 to 0.
  logits = jnp.array([[18.0, -200.0, 0.0]] * 4)

  def penalty(logits):
    return penalties.kl_to_target(jax.nn.sigmoid(logits), 0.05, jnp.ones(3))

  value, gradient = jax.jit(jax.value_and_grad(penalty))(logits)
  assert np.isfinite(value)
  assert np.isfinite(gradient).all()
  assert value > penalty(logits.at[:, 0].set(10.0))


def test_l1_has_subgradient_zero_at_zero():
  gradient = jax.jit(jax.grad(lambda z: penalties.l1(z).sum()))(
    jnp.array([[-2.0, 0.0, 3.0]])
  )
  np.testing.assert_array_equal(gradient, [[-1.0, 0.0, 1.0]])


@pytest.mark.parametrize("latent_size", [3, 9])
def test_contractive_is_the_norm_of_jacfwd_on_either_side(latent_size):
  rng = np.random.default_rng(0)
  w = rng.normal(size=(6, latent_size)).astype(np.float32)
  x = jnp.asarray(rng.normal(size=(4, 6)).astype(np.float32))

  def encode(example):
    return jnp.tanh(example @ w)

  jacobian = jax.vmap(jax.jacfwd(encode))(x)
  np.testing.assert_allclose(
    jax.jit(lambda x: penalties.contractive(encode, x))(x),
    jnp.sum(jacobian**2, axis=(1, 2)),
    rtol=1e-5,  # float32 sums in another order
  )


@pytest.mark.parametrize(
  "widths", [pytest.param((3,), marks=pytest.mark.slow), (3, 4)]
)
def test_dense_form_is_the_product_of_its_layers(widths):
  # Slopes that belong to no network, in float64: differences of second order.
  rng = np.random.default_rng(0)
  sizes = (15, *widths, 4)
  kernels = [rng.normal(size=s) / 4 for s in itertools.pairwise(sizes)]
  slopes = [rng.uniform(size=(6, size)) for size in widths]
  jacobian = np.eye(15)
  for kernel, slope in zip(kernels, [*slopes, np.ones((6, 4))], strict=True):
    jacobian = (jacobian @ kernel) * slope[:, None]

  @jax.jit
  def norm(kernels, slopes):
    return penalties.contractive_dense(
      kernels, [*slopes, jnp.ones((6, 4))], linear_code=True
    )

  with jax.enable_x64(True):
    arguments = jax.tree.map(jnp.asarray, (kernels, slopes))
    # float64 has 16 digits; sums of a hundred terms of both signs lose two.
    np.testing.assert_allclose(
      norm(*arguments), np.sum(jacobian**2, axis=(1, 2)), rtol=1e-12
    )
    check_grads(norm, arguments, order=2)


def tanh_layer():
  w = 0.5 * normal(5, 4)
  return lambda x: jnp.tanh(x @ w), normal(3, 5)


def assert_moments(draws, mean, variance):
  """Both within four of their standard errors, of many draws on axis 0."""
  n = len(draws)
  error = np.mean(draws, axis=0) - mean
  assert np.all(np.abs(error) < 4 * np.sqrt(variance / n))
  squares = (draws - mean) ** 2
  error = np.mean(squares, axis=0) - variance
  assert np.all(np.abs(error) < 4 * np.std(squares, axis=0) / np.sqrt(n))


@pytest.mark.parametrize("num_probes", [1, 3])
def test_hutchinson_has_the_mean_and_variance_of_its_docstring(num_probes):
  encode, x = tanh_layer()
  keys = jax.random.split(jax.random.key(0), 20_000)
  z, draws = jax.jit(
    jax.vmap(lambda key: penalties.hutchinson(encode, key, x, num_probes))
  )(keys)
  np.testing.assert_allclose(z[0], jax.jit(encode)(x), rtol=1e-6)  # last bits

  j = np.asarray(jax.vmap(jax.jacfwd(encode))(x), float)
  gram = j @ j.swapaxes(1, 2)
  diagonal = np.diagonal(gram, axis1=1, axis2=2)
  variance = np.sum(gram**2, axis=(1, 2)) - np.sum(diagonal**2, axis=1)
  variance *= 2 / num_probes
  draws = np.asarray(draws, float)
  assert_moments(draws, np.sum(diagonal, axis=1), variance)
  assert_moments(draws.mean(axis=1), diagonal.sum() / 3, variance.mean() / 3)


@pytest.mark.parametrize("size", [1, 4, 7])
def test_a_random_part_has_the_mean_and_variance_of_its_docstring(size):
  y = normal(7)
  keys = jax.random.split(jax.random.key(0), 20_000)
  parts = jax.jit(
    jax.vmap(lambda key: penalties.random_part(key, jnp.asarray(y), size))
  )(keys)
  assert parts.shape == (20_000, size)
  if size == 7:  # all of them, whatever the order
    np.testing.assert_array_equal(np.sort(parts[0]), np.sort(y))
    return
  variance = (1 - size / 7) * np.var(y.astype(float), ddof=1) / size
  assert_moments(np.mean(parts, axis=1, dtype=float), y.mean(), variance)
