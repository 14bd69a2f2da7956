"""The codebook: its gradients, k-means, vectors that are not used."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.cluster import KMeans
from sklearn.datasets import load_digits
from small_objectives import KEY, X, network
from small_sweeps import SHORT
from solo_runs import assert_equal_solo_runs

import ae_jax
from ae_jax.data import from_arrays
from ae_jax.objectives import OBJECTIVES


def vq_vae(params, codebook, count, **hyper):
  """The loss, terms and next state of a network of four units."""
  model, _ = network("vq_vae", latent_size=4)
  state = {"codebook": np.float32(codebook), "count": np.float32(count)}
  return OBJECTIVES["vq_vae"](
    model, params | {"state": state}, KEY, X, num_codes=len(codebook), **hyper
  )


def test_a_quantized_loss_has_the_gradients_of_the_paper():
  model, params = network("vq_vae", latent_size=4)
  codebook = np.float32([[-0.5], [0.1], [0.6]])
  z = np.asarray(model.dense_code(params, X))
  e = codebook[np.abs(z[..., None] - codebook[:, 0]).argmin(-1), 0]

  def gradient(commitment):
    return jax.grad(
      lambda p: vq_vae(p, codebook, [9, 9, 9], commitment=commitment)[0]
    )(params)["encoder"]

  def through_encoder(of_code):
    return jax.vjp(lambda p: model.dense_code(p, X), params)[1](of_code)[0]

  of_decoder = jax.grad(
    lambda z: jnp.mean(model.nll(X, model.decode(params, z)))
  )(e)
  for commitment in (0.0, 1.0):
    expected = of_decoder + commitment * 2 * (z - e) / len(X)
    jax.tree.map(
      lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6),
      gradient(commitment),
      through_encoder(expected)["encoder"],
    )


def test_a_codebook_without_decay_is_that_of_lloyds_k_means():
  model, params = network("vq_vae", latent_size=4)
  parts = np.asarray(model.dense_code(params, X)).reshape(-1, 2)
  codebook = start = parts[[0, 3, 8]]
  for _ in range(5):
    _, _, state = vq_vae(params, codebook, [9] * 3, code_dim=2, decay=0.0)
    codebook = state["codebook"]
  expected = KMeans(3, init=start, n_init=1, max_iter=5, tol=0).fit(parts)
  np.testing.assert_allclose(codebook, expected.cluster_centers_, rtol=1e-5)
  np.testing.assert_array_equal(
    state["count"], np.bincount(expected.labels_, minlength=3)
  )


def test_a_vector_that_is_not_used_starts_again_from_the_batch():
  model, params = network("vq_vae", latent_size=4)
  parts = np.asarray(model.dense_code(params, X)).ravel()
  # 24 parts for 3 vectors: below 0.8 a vector starts again.
  count = [8.0, 0.79, 0.81]
  _, _, state = vq_vae(params, [[0.0], [70.0], [80.0]], count, decay=1.0)
  codebook = np.asarray(state["codebook"][:, 0])
  assert codebook[1] in parts
  np.testing.assert_array_equal(codebook[[0, 2]], [0, 80])
  np.testing.assert_allclose(state["count"], [8, 8, 0.81])


def test_digits_are_quantized_as_well_as_by_k_means():
  """With the gradient's codebook 17 vectors were used and the error 2.57."""
  x = np.random.default_rng(0).permutation(load_digits().data) / 16
  train, test = np.split(x.astype(np.float32), [1400])
  point = {"objective": "vq_vae", "latent_size": 8, "code_dim": 8}
  training = {"num_epochs": 200, "learning_rate": 3e-3}
  (one,) = ae_jax.run_sweep(
    [point | training], from_arrays(train, test), metrics=(), progress=False
  )
  codes, used = one.encode(test), np.unique(one.encode(train), axis=0)
  assert len(used) >= 0.9 * 64
  fitted = KMeans(64, n_init=1, random_state=0).fit(train)
  error = np.mean(np.min(fitted.transform(test), axis=1) ** 2)
  squares = np.sum((one.decode(codes) - test) ** 2, axis=1)
  assert np.mean(squares) < 1.1 * error
  assert {*map(tuple, codes)} <= {*map(tuple, used)}


@pytest.mark.slow
def test_vectors_of_two_units_equal_their_solo_run():
  """Parts of masked units are not drawn, and move no vector."""
  own = {"objective": "vq_vae", "code_dim": 2, "num_codes": 16}
  points = [SHORT | own | {"latent_size": size} for size in (2, 4, 8)]
  assert_equal_solo_runs(points, sizes=(2, 4), atol=1e-3)  # as in solo_test.py
