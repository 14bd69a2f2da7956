"""Networks against layers in NumPy; mistakes in a spec."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special
from small_networks import (
  ARCHITECTURES_AND_CODES,
  CODES,
  TOLERANCE,
  any_params,
  assert_trees_close,
  images,
  normal,
  quick_jit,
)

from ae_jax import likelihoods, networks
from ae_jax.declarations import keyword_only
from ae_jax.networks import Spec, autoencoder
from ae_jax.types import Gaussian, UsageError


def dense(layer, x):
  return x @ layer["kernel"].astype(float) + layer["bias"]


def relu(x):
  return np.maximum(x, 0)


def heads(params, hidden, code):
  if code == "gaussian":
    return Gaussian(
      dense(params["mean"], hidden), dense(params["log_variance"], hidden)
    )
  activation = {"linear": np.positive, "sigmoid": special.expit}[code]
  return activation(dense(params["code"], hidden))


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("widths", [(), (16,), (32, 16)])
def test_mlp_encoder_matches_numpy(widths, code):
  spec = Spec((3, 4), 5, widths=widths, code=code)
  model = autoencoder(spec)
  params, x = any_params(model), images(spec, 7)

  hidden = x.reshape(7, 12)
  for i in range(len(widths)):
    hidden = relu(dense(params["encoder"][f"hidden_{i}"], hidden))
  expected = heads(params["encoder"], hidden, code)

  actual = quick_jit(model.encode)(params, x)
  assert_trees_close(actual, expected, **TOLERANCE)


@pytest.mark.parametrize("likelihood", likelihoods.LIKELIHOODS)
@pytest.mark.parametrize("widths", [(), (16,), (32, 16)])
def test_mlp_decoder_matches_numpy(widths, likelihood):
  model = autoencoder(Spec((3, 4), 5, widths=widths, likelihood=likelihood))
  params, z = any_params(model), normal(7, 5)

  x = dense(params["decoder"]["latent"], z)
  for i in range(len(widths)):
    x = dense(params["decoder"][f"hidden_{i}"], relu(x))
  if likelihood == "sigmoid_gaussian":
    x = special.expit(x)

  actual = quick_jit(model.decode)(params, z)
  shared = params.get("likelihood", {})
  expected = np.concatenate(
    [x.reshape(7, 3, 4, -1)]
    + [
      np.broadcast_to(shared[name], (7, 3, 4))[..., None]
      for name in sorted(shared)
    ],
    axis=-1,
  )
  expected = expected[..., 0] if expected.shape[-1] == 1 else expected
  np.testing.assert_allclose(actual, expected, **TOLERANCE)


def correlate(layer, x, pads, stride):
  """A 3x3 cross-correlation of images `[n, height, width, channels]`."""
  x = np.pad(x, [(0, 0), *pads, (0, 0)])
  windows = np.lib.stride_tricks.sliding_window_view(x, (3, 3), axis=(1, 2))
  return layer["bias"] + np.einsum(
    "nhwcij,ijco->nhwo",
    windows[:, ::stride, ::stride],
    layer["kernel"].astype(float),
  )


@pytest.mark.parametrize("code", CODES)
def test_conv_matches_numpy(code):
  spec = Spec((7, 9, 3), 6, network="conv", widths=(4, 5), code=code)
  model = autoencoder(spec)
  params, x, z = any_params(model), images(spec, 2), normal(2, 6)

  # 7 x 9 -> 4 x 5 -> 2 x 3; "same" padding, the odd row and column at the end.
  encoder = params["encoder"]
  hidden = relu(correlate(encoder["hidden_0"], x, [(1, 1), (1, 1)], 2))
  hidden = relu(correlate(encoder["hidden_1"], hidden, [(0, 1), (1, 1)], 2))
  expected = heads(encoder, hidden.reshape(2, 2 * 3 * 5), code)
  actual = quick_jit(model.encode)(params, x)
  assert_trees_close(actual, expected, **TOLERANCE)

  # And back: zeros between the pixels, then a correlation and a cut.
  decoder = params["decoder"]
  x_tilde = dense(decoder["latent"], z).reshape(2, 2, 3, 5)
  for name, height, width in [("hidden_0", 4, 5), ("hidden_1", 7, 9)]:
    n, rows, columns, channels = x_tilde.shape
    spread = np.zeros((n, 2 * rows - 1, 2 * columns - 1, channels))
    spread[:, ::2, ::2] = relu(x_tilde)
    x_tilde = correlate(decoder[name], spread, [(2, 1), (2, 1)], 1)
    x_tilde = x_tilde[:, :height, :width]
  actual = quick_jit(model.decode)(params, z)
  np.testing.assert_allclose(actual, x_tilde, **TOLERANCE)


def test_images_without_channels_are_images_of_one():
  spec = Spec((7, 9), 6, network="conv", widths=(4,))
  model = autoencoder(spec)
  one_channel = autoencoder(dataclasses.replace(spec, features=(7, 9, 1)))
  params, x, z = any_params(model), images(spec, 2), normal(2, 6)
  np.testing.assert_array_equal(
    quick_jit(model.encode)(params, x),
    quick_jit(one_channel.encode)(params, x[..., None]),
  )
  np.testing.assert_array_equal(
    quick_jit(model.decode)(params, z),
    quick_jit(one_channel.decode)(params, z)[..., 0],
  )


@pytest.mark.parametrize(
  ("name", "expected"),
  [
    ("linear", lambda x: x),
    ("relu", relu),
    ("leaky_relu", lambda x: np.where(x < 0, 0.01 * x, x)),
    ("elu", lambda x: np.where(x < 0, np.expm1(x), x)),
    ("gelu", lambda x: x * special.ndtr(x)),
    ("silu", lambda x: x * special.expit(x)),
    ("softplus", lambda x: np.log1p(np.exp(x))),
    ("sigmoid", special.expit),
    ("tanh", np.tanh),
  ],
)
def test_activations_match_numpy(name, expected):
  x = np.linspace(-4, 4, 41, dtype=np.float32)
  actual = quick_jit(networks.ACTIVATIONS[name])(x)
  # The tanh form of gelu is off by up to 5e-4, by design.
  atol = 5e-4 if name == "gelu" else 1e-6
  np.testing.assert_allclose(actual, expected(x.astype(float)), atol=atol)


@pytest.mark.parametrize("likelihood", likelihoods.LIKELIHOODS)
def test_distance_and_mean_follow_the_output(likelihood):
  spec = Spec((3, 4), 5, likelihood=likelihood)
  model = autoencoder(spec)
  x, decoded = images(spec, 7), normal(7, 3, 4)
  if likelihood == "bernoulli":
    mean = special.expit(decoded.astype(float))
    distance = -special.xlogy(x, mean) - special.xlog1py(1 - x, -mean)
  elif likelihood in ("gaussian", "sigmoid_gaussian"):
    mean = decoded
    distance = 0.5 * (x - decoded) ** 2
  else:
    function = likelihoods.LIKELIHOODS[likelihood]
    own = keyword_only(function)
    one = jax.eval_shape(model.decode, any_params(model), normal(1, 5))
    decoded = normal(7, *one.shape[1:])
    mean = function.declaration.mean(decoded, **own)
    distance = function(x, decoded, **own)
    assert model.log_normalizer == 0
  np.testing.assert_allclose(quick_jit(model.mean)(decoded), mean, **TOLERANCE)
  np.testing.assert_allclose(
    quick_jit(model.nll)(x, decoded),
    np.sum(distance, axis=(1, 2)),
    **TOLERANCE,
  )


@pytest.mark.parametrize(("architecture", "code"), ARCHITECTURES_AND_CODES)
def test_leading_dimensions_are_free(architecture, code):
  spec = Spec(latent_size=5, code=code, **architecture)
  model = autoencoder(spec)
  params = any_params(model)

  @quick_jit
  def in_three_shapes(params, x, z):
    flat_x, flat_z = x.reshape(6, *spec.features), z.reshape(6, 5)
    return (
      (model.encode(params, x), model.decode(params, z)),
      (model.encode(params, flat_x), model.decode(params, flat_z)),
      (model.encode(params, x[1, 2]), model.decode(params, z[1, 2])),
    )

  nested, flat, one = in_three_shapes(
    params, images(spec, 2, 3), normal(2, 3, 5)
  )
  assert_trees_close(
    nested,
    jax.tree.map(lambda a: a.reshape(2, 3, *a.shape[1:]), flat),
    **TOLERANCE,
  )
  assert_trees_close(one, jax.tree.map(lambda a: a[1, 2], nested), **TOLERANCE)
  code_of_one, decoded_one = one
  assert isinstance(code_of_one, Gaussian) == (code == "gaussian")
  assert {leaf.shape for leaf in jax.tree.leaves(code_of_one)} == {(5,)}
  assert decoded_one.shape == spec.features


def test_an_overcomplete_code_can_hold_everything():
  spec = Spec((2, 2, 1), 16, widths=())
  model = autoencoder(spec)
  params, x = any_params(model), images(spec, 5)
  code = params["encoder"]["code"]
  inverse = np.linalg.pinv(code["kernel"])  # [16, 4]: 4 features of 16 units
  params["decoder"]["latent"] = {
    "kernel": inverse,
    "bias": -code["bias"] @ inverse,
  }
  z = quick_jit(model.encode)(params, x)
  assert z.shape == (5, 16)
  np.testing.assert_allclose(quick_jit(model.decode)(params, z), x, **TOLERANCE)


@pytest.mark.parametrize(
  ("field", "value", "allowed"),
  [
    ("network", "cnn", networks.NETWORKS),
    ("activation", "swish", networks.ACTIVATIONS),
    ("code", "normal", networks.CODES),
    ("likelihood", "logits", likelihoods.LIKELIHOODS),
  ],
)
def test_an_unknown_name_is_an_error_that_lists_the_names(
  field, value, allowed
):
  with pytest.raises(UsageError, match=f"^{field} is '{value}'") as error:
    Spec((4,), 2, **{field: value})
  assert str(error.value).endswith(", ".join(allowed))


@pytest.mark.parametrize(
  ("arguments", "message"),
  [
    ({"latent_size": 0}, "latent_size 0 .* at least 1"),
    ({"latent_size": -3}, "latent_size -3 .* at least 1"),
    ({"widths": (16, 0)}, r"widths \(16, 0\) must be integers of at least 1"),
    ({"network": "conv"}, r"needs images .* got features \(4,\)"),
    (
      {"network": "conv", "features": (2, 8, 8, 1)},
      r"needs images .* got features \(2, 8, 8, 1\)",
    ),
    (
      {"network": "conv", "features": (8, 8, 1), "widths": ()},
      r"at least one width; got .* widths \(\)",
    ),
  ],
)
def test_an_impossible_shape_is_an_error(arguments, message):
  with pytest.raises(UsageError, match=message):
    autoencoder(Spec(**({"features": (4,), "latent_size": 2} | arguments)))


@pytest.mark.parametrize("latent_size", [0, -1, 9])
def test_a_latent_size_outside_the_spec_is_an_error(latent_size):
  with pytest.raises(UsageError, match=r"1 \.\.\. 8; got"):
    autoencoder(Spec((4,), 8), latent_size)


def test_arrays_of_another_shape_are_an_error():
  model = autoencoder(Spec((4,), 2))
  params = model.init(jax.random.key(0))
  with pytest.raises(ValueError, match=r"\(3, 8\) does not end in \(4,\)"):
    model.encode(params, jnp.zeros((3, 8)))
  with pytest.raises(ValueError, match=r"\(3, 8\) does not end in \(4,\)"):
    model.encode_and_jacobian_norm(params, jnp.zeros((3, 8)))
  with pytest.raises(ValueError, match=r"\(4, 4\) does not end in \(2,\)"):
    model.decode(params, jnp.zeros((4, 4)))
