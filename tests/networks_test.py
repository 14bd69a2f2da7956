"""Tests of `networks`: NumPy layers, and a mask that is a smaller network."""

import dataclasses
import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special

from ae_jax import likelihoods, networks
from ae_jax.networks import Spec, autoencoder
from ae_jax.types import Gaussian, UsageError

ARCHITECTURES = [
  pytest.param({"features": (12,), "widths": ()}, id="linear"),
  pytest.param({"features": (12,), "widths": (16,)}, id="mlp"),
  pytest.param({"features": (3, 4), "widths": (32, 16)}, id="deep mlp"),
  pytest.param(
    {"features": (8, 8, 1), "network": "conv", "widths": (4,)}, id="conv"
  ),
  pytest.param(
    {"features": (7, 9, 3), "network": "conv", "widths": (4, 5)},
    id="deep conv",
  ),
]
CODES = ["linear", "sigmoid", "gaussian"]

# One network computed in two ways, in float32: dot products of up to 63 terms
# may be added in another order, a few roundings of 2^-24 = 6e-8 a layer.
TOLERANCE = {"rtol": 1e-5, "atol": 2e-6}

# To compile is what these tests cost: with fewer optimizations, a third of it.
quick_jit = functools.partial(
  jax.jit,
  compiler_options={
    "xla_backend_optimization_level": 0,
    "xla_llvm_disable_expensive_passes": True,
  },
)


def images(spec: Spec, *leading: int) -> np.ndarray:
  rng = np.random.default_rng(0)
  return rng.uniform(size=(*leading, *spec.features)).astype(np.float32)


def normal(*shape: int) -> np.ndarray:
  return np.random.default_rng(1).normal(size=shape).astype(np.float32)


def any_params(model):
  """Parameters where nothing is 0: neither biases nor padding."""
  rng = np.random.default_rng(2)

  def draw(leaf):
    deviation = math.prod(leaf.shape[:-1]) ** -0.5
    return rng.normal(0, deviation, leaf.shape).astype(np.float32)

  return jax.tree.map(draw, jax.eval_shape(model.init, jax.random.key(0)))


def assert_trees_close(actual, expected, **tolerance):
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, **tolerance), actual, expected
  )


def padding(params, latent_size: int) -> list[jax.Array]:
  """All that `networks.unpad` cuts off."""
  heads = [
    params["encoder"][name]
    for name in ("code", "mean", "log_variance")
    if name in params["encoder"]
  ]
  assert heads
  return [
    *(head["kernel"][:, latent_size:] for head in heads),
    *(head["bias"][latent_size:] for head in heads),
    params["decoder"]["latent"]["kernel"][latent_size:],
  ]


def loss(model, params, x):
  """A loss that sees every output of encoder and decoder."""
  code = model.encode(params, x)
  z = code
  if isinstance(code, Gaussian):
    z = code.mean + jnp.exp(0.5 * code.log_variance)
  distance = model.nll(x, model.decode(params, z))
  return jnp.mean(distance) + sum(
    jnp.mean(jnp.sum(jnp.sin(leaf), axis=-1)) for leaf in jax.tree.leaves(code)
  )


# The functions, against NumPy.


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
  shape = (7, *likelihoods.LIKELIHOODS[likelihood].shape((3, 4)))
  np.testing.assert_allclose(actual, x.reshape(shape), **TOLERANCE)


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
  if likelihood == "logistic_mixture":
    decoded = normal(7, 3, 4, 3 * likelihoods.NUM_LOGISTICS)
    mean = quick_jit(likelihoods.logistic_mixture_mean)(decoded)
    np.testing.assert_allclose(quick_jit(model.mean)(decoded), mean)
    distance = quick_jit(likelihoods.logistic_mixture)(x, decoded)
    np.testing.assert_allclose(quick_jit(model.nll)(x, decoded), distance)
    assert model.log_normalizer == 0
    return
  if likelihood == "bernoulli":
    mean = special.expit(decoded.astype(float))
    distance = -special.xlogy(x, mean) - special.xlog1py(1 - x, -mean)
  else:
    mean = decoded
    distance = 0.5 * (x - decoded) ** 2
  np.testing.assert_allclose(quick_jit(model.mean)(decoded), mean, **TOLERANCE)
  np.testing.assert_allclose(
    quick_jit(model.nll)(x, decoded),
    np.sum(distance, axis=(1, 2)),
    **TOLERANCE,
  )


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("architecture", ARCHITECTURES)
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


# The norm of the Jacobian, against its definition.


JACOBIANS = [
  *(
    {"widths": (4,), "activation": name, "code": name}
    for name in networks.ACTIVATIONS
  ),
  {"widths": (4,)},
  {"widths": (4,), "activation": "relu"},
  {"widths": (4,), "code": "gaussian"},
  {"widths": ()},
  {"widths": (), "code": "sigmoid"},
  {"widths": (8, 6)},
  {"widths": (8, 6), "code": "sigmoid"},
  {"widths": (8, 6), "code": "gaussian"},
  {"widths": (6, 7, 8), "activation": "gelu", "code": "softplus"},
  {"widths": (90,), "code": "sigmoid"},  # more units than features
  {"widths": (90,), "latent_size": 2},
  {"widths": (4,), "latent_size": 50},  # overcomplete
  {"widths": (8, 6), "latent_size": 50, "code": "tanh"},
  {"features": (6, 6, 1), "widths": (8,)},
  {"features": (6, 6, 1), "network": "conv", "widths": (3,)},
  {"features": (6, 6), "network": "conv", "widths": (3, 2), "code": "elu"},
  {"features": (4, 4), "network": "conv", "widths": (3,), "latent_size": 20},
  {"features": (6, 6), "network": "conv", "widths": (3,), "code": "gaussian"},
]


@pytest.mark.parametrize("fields", JACOBIANS, ids=str)
def test_jacobian_norm_is_that_of_jacfwd(fields):
  defaults = {"features": (40,), "latent_size": 5, "activation": "tanh"}
  spec = Spec(**(defaults | fields))
  size = spec.latent_size - 1  # there is something in the padding
  model = autoencoder(spec, size)
  weights = np.arange(1.0, 13.0)  # that no two examples count the same

  def by_definition(params, x):
    def encode(x):
      code = model.encode(params, x)
      return code.mean if spec.code == "gaussian" else code

    jacobian = jax.vmap(jax.jacfwd(encode))(x)
    norm = jnp.sum(jacobian.reshape(12, -1) ** 2, axis=1)
    return jnp.sum(weights * norm), (encode(x), norm)

  def by_model(params, x):
    z, norm = model.encode_and_jacobian_norm(params, x)
    return jnp.sum(weights * norm), (z, norm)

  with jax.enable_x64(True):
    params, x = jax.tree.map(
      lambda leaf: jnp.asarray(leaf, jnp.float64),
      (any_params(model), images(spec, 12)),
    )
    expected, actual = (
      quick_jit(jax.value_and_grad(function, has_aux=True))(params, x)
      for function in (by_definition, by_model)
    )
  # float64 has 16 digits; sums of both signs over thousands of terms lose few.
  assert_trees_close(actual, expected, rtol=1e-9, atol=1e-12)
  for leaf in padding(actual[1], size):
    np.testing.assert_array_equal(leaf, 0)


@pytest.mark.parametrize("architecture", ARCHITECTURES[1::2])
def test_jacobian_norm_has_free_leading_dimensions(architecture):
  spec = Spec(latent_size=5, **architecture)
  model = autoencoder(spec)
  params, x = any_params(model), images(spec, 2, 3)
  run = quick_jit(model.encode_and_jacobian_norm)
  nested, one = run(params, x), run(params, x[1, 2])
  assert [leaf.shape for leaf in nested] == [(2, 3, 5), (2, 3)]
  assert [leaf.shape for leaf in one] == [(5,), ()]
  assert_trees_close(one, jax.tree.map(lambda a: a[1, 2], nested), **TOLERANCE)


# The initialization.


@pytest.mark.parametrize(
  ("spec", "fan_in"),
  [
    (
      Spec((1000,), 64, widths=()),
      {"encoder/code": 1000, "decoder/latent": 16},
    ),
    (
      Spec((20, 25), 64, widths=(300, 200), code="gaussian"),
      {
        "encoder/hidden_0": 500,
        "encoder/hidden_1": 300,
        "encoder/mean": 200,
        "encoder/log_variance": 200,
        "decoder/latent": 16,
        "decoder/hidden_0": 200,
        "decoder/hidden_1": 300,
      },
    ),
    (
      Spec((8, 8, 20), 64, network="conv", widths=(40, 50)),
      {
        "encoder/hidden_0": 9 * 20,
        "encoder/hidden_1": 9 * 40,
        "encoder/code": 2 * 2 * 50,
        "decoder/latent": 16,
        "decoder/hidden_0": 9 * 50,
        "decoder/hidden_1": 9 * 40,
      },
    ),
  ],
  ids=["linear", "mlp", "conv"],
)
def test_initial_variance_is_one_over_the_true_fan_in(spec, fan_in):
  model = autoencoder(spec, latent_size=16)  # 16 units pipeline the decoder
  params = networks.unpad(quick_jit(model.init)(jax.random.key(0)), 16)
  layers = {
    f"{part}/{name}": layer
    for part in params
    for name, layer in params[part].items()
  }
  assert layers.keys() == fan_in.keys()
  for name, layer in layers.items():
    np.testing.assert_array_equal(layer["bias"], 0)
    kernel = np.asarray(layer["kernel"], float)
    # 4 standard errors of a mean, and of the variance of a Gaussian; the
    # truncated one that is drawn has lighter tails.
    deviation = np.std(kernel)
    assert abs(np.mean(kernel)) < 4 * deviation / math.sqrt(kernel.size), name
    ratio = np.var(kernel) * fan_in[name]
    assert abs(ratio - 1) < 4 * math.sqrt(2 / kernel.size), name


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_initial_masked_network_is_the_smaller_network(architecture):
  spec = Spec(latent_size=8, code="gaussian", **architecture)
  small = autoencoder(spec)
  masked = autoencoder(dataclasses.replace(spec, latent_size=64), latent_size=8)
  np.testing.assert_array_equal(masked.latent_mask, np.arange(64) < 8)
  np.testing.assert_array_equal(small.latent_mask, np.ones(8))

  key = jax.random.key(0)
  params = quick_jit(masked.init)(key)

  # The same draws; sqrt(1/64) sqrt(64/8) and sqrt(1/8) differ in a last bit.
  assert_trees_close(
    networks.unpad(params, 8), quick_jit(small.init)(key), rtol=5e-7
  )
  for leaf in padding(params, 8):
    np.testing.assert_array_equal(leaf, 0)


@pytest.mark.parametrize("architecture", ARCHITECTURES[::2])
def test_initialization_can_be_vmapped_over_latent_sizes(architecture):
  spec = Spec(latent_size=8, **architecture)
  sizes = [1, 3]
  keys = jax.random.split(jax.random.key(0), len(sizes))

  def init(key, latent_size):
    return autoencoder(spec, latent_size).init(key)

  stacked = quick_jit(jax.vmap(init))(keys, np.array(sizes))

  for i, size in enumerate(sizes):
    small = autoencoder(dataclasses.replace(spec, latent_size=size))
    params = jax.tree.map(lambda leaf, i=i: leaf[i], stacked)
    # The same draws, with a last bit of the scale as above.
    assert_trees_close(
      networks.unpad(params, size), quick_jit(small.init)(keys[i]), rtol=5e-7
    )
    for leaf in padding(params, size):
      np.testing.assert_array_equal(leaf, 0)


# The mask. Parameters and codes with something in the padding: it is ignored.


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_masked_network_computes_as_the_smaller_network(architecture, code):
  spec = Spec(latent_size=8, code=code, **architecture)
  small = autoencoder(spec)
  masked = autoencoder(dataclasses.replace(spec, latent_size=64), latent_size=8)
  params = any_params(masked)
  x, z = images(spec, 5), normal(5, 64)

  def functions(model, params, z):
    value_and_grad = jax.value_and_grad(loss, argnums=1)
    return (
      model.encode(params, x),
      model.decode(params, z),
      *value_and_grad(model, params, x),
    )

  codes, decoded, value, gradient = quick_jit(
    functools.partial(functions, masked)
  )(params, z)
  expected_codes, expected, expected_value, expected_gradient = quick_jit(
    functools.partial(functions, small)
  )(networks.unpad(params, 8), z[:, :8])

  for leaf in jax.tree.leaves(codes):
    np.testing.assert_array_equal(leaf[:, 8:], 0)
  assert_trees_close(
    jax.tree.map(lambda leaf: leaf[:, :8], codes), expected_codes, **TOLERANCE
  )
  np.testing.assert_allclose(decoded, expected, **TOLERANCE)
  np.testing.assert_allclose(value, expected_value, **TOLERANCE)
  # Gradients are sums of both signs over 5 examples and up to 63 pixels.
  assert_trees_close(
    networks.unpad(gradient, 8), expected_gradient, rtol=1e-4, atol=1e-5
  )
  for leaf in padding(gradient, 8):
    np.testing.assert_array_equal(leaf, 0)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_code_with_padding_does_not_move_the_padding(architecture):
  model = autoencoder(Spec(latent_size=8, **architecture), latent_size=3)
  params, z = any_params(model), normal(5, 8)

  @quick_jit
  @jax.grad
  def gradient(params, z):
    return jnp.sum(model.decode(params, z) ** 2)

  rows = np.asarray(gradient(params, z)["decoder"]["latent"]["kernel"])
  np.testing.assert_array_equal(rows[3:], 0)
  assert np.all(np.any(rows[:3] != 0, axis=1))


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_latent_size_can_be_traced_and_vmapped(architecture):
  spec = Spec(latent_size=8, code="gaussian", **architecture)
  sizes = [1, 3, 8]
  params = any_params(autoencoder(spec))
  x = images(spec, 3, 5)  # a batch for each size

  def run(params, x, latent_size):
    model = autoencoder(spec, latent_size)
    return model.encode(params, x), loss(model, params, x)

  # Parameters are stacked too, so that every product is a batched one. Fully
  # optimized: XLA has had errors in such products on a CPU (jax #39103).
  stacked = jax.tree.map(lambda leaf: np.stack([leaf, leaf / 2, -leaf]), params)
  codes, losses = jax.jit(jax.vmap(run))(stacked, x, np.array(sizes))

  for i, size in enumerate(sizes):
    model = autoencoder(dataclasses.replace(spec, latent_size=size))
    ours, params = jax.tree.map(lambda leaf, i=i: leaf[i], (codes, stacked))
    params = networks.unpad(params, size)
    expected, expected_loss = quick_jit(
      lambda params, x, model=model: (
        model.encode(params, x),
        loss(model, params, x),
      )
    )(params, x[i])
    ours = jax.tree.map(lambda leaf, size=size: leaf[:, :size], ours)
    assert_trees_close(ours, expected, **TOLERANCE)
    np.testing.assert_allclose(losses[i], expected_loss, **TOLERANCE)


# Mistakes.


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
    Spec(**({"features": (4,), "latent_size": 2} | arguments))


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
