"""Encoders and decoders from a static spec: MLP and convolutional.

The only file that imports flax. Networks are Linen modules behind the pure
functions of an `Autoencoder`; parameters are plain dicts.

A latent size may be traced: the code is padded to `spec.latent_size` and a
0/1 mask keeps the first units. The padding is the true network of that size,
its initialization included: random draws are stable along the leading axis, so
what has a latent axis is drawn with that axis first, scaled by the true size,
and zeroed beyond it. Gradients and Adam moments of the padding stay exactly 0.
"""

import dataclasses
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn

from ae_jax import codes, likelihoods, penalties
from ae_jax.divergences import LOG_2PI
from ae_jax.types import (
  Array,
  Autoencoder,
  Gaussian,
  Key,
  Layer,
  Params,
  Scalar,
  UsageError,
)

ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
  "linear": lambda x: x,
  "relu": jax.nn.relu,
  "leaky_relu": jax.nn.leaky_relu,
  "elu": jax.nn.elu,
  "gelu": jax.nn.gelu,
  "silu": jax.nn.silu,
  "softplus": jax.nn.softplus,
  "sigmoid": jax.nn.sigmoid,
  "tanh": jnp.tanh,
}
NETWORKS = ("mlp", "conv")
CODES = (*ACTIVATIONS, "gaussian", "k_sparse", "quantized")


class Likelihood(NamedTuple):
  """What the decoder gives, as p(x|z).

  Attributes:
    nll: (x `[batch, *features]`, decoded) -> d(x, x~) `[batch]`.
    mean: decoded -> x~, in the units of x.
    log_normalizer: what `nll` leaves out of `-log p(x|z)`, a feature.
    activation: of the decoder's last layer.
    size: numbers for one feature.
  """

  nll: Callable[[Array, Array], Array]
  mean: Callable[[Array], Array]
  log_normalizer: float
  activation: str = "linear"
  size: int = 1

  def shape(self, features: tuple[int, ...]) -> tuple[int, ...]:
    """The shape of one example, decoded."""
    return features if self.size == 1 else (*features, self.size)


_GAUSSIAN = Likelihood(
  likelihoods.half_squared_error, ACTIVATIONS["linear"], 0.5 * LOG_2PI
)
LIKELIHOODS = {
  "gaussian": _GAUSSIAN,
  "sigmoid_gaussian": _GAUSSIAN._replace(activation="sigmoid"),
  "bernoulli": Likelihood(
    likelihoods.bernoulli_cross_entropy, jax.nn.sigmoid, 0.0
  ),
  "logistic_mixture": Likelihood(
    likelihoods.logistic_mixture,
    likelihoods.logistic_mixture_mean,
    0.0,
    size=3 * likelihoods.NUM_LOGISTICS,
  ),
}


@dataclasses.dataclass(frozen=True)
class Spec:
  """The static shape of an autoencoder; the decoder mirrors the encoder.

  Attributes:
    features: shape of one example: `(d,)`, `(height, width, channels)`, ...
    latent_size: number of code units, masked ones included; may exceed the
      number of features.
    network: "mlp", or "conv" (3x3, stride 2 a layer; images only).
    widths: units (mlp) or channels (conv) of each hidden layer of the
      encoder; `()` is a linear map.
    activation: of the hidden layers, a name in `ACTIVATIONS`.
    code: activation of the code, a name in `ACTIVATIONS`; or "gaussian" for an
      encoder that gives the mean and log-variance of q(z|x); or a linear code
      of which `codes.top_k` ("k_sparse") or `codes.quantize` ("quantized")
      remains, with the objective's parameter `k` or `codebook`.
    likelihood: what the decoder gives, a name in `LIKELIHOODS`. "linear": means of
      N(x~, I); "sigmoid": the same, squeezed into (0, 1); "bernoulli": logits,
      with the cross-entropy as nll; "logistic_mixture": the parameters of
      `likelihoods.logistic_mixture`, for bytes.

  Raises:
    UsageError: a field has a value that is not allowed.
  """

  features: tuple[int, ...]
  latent_size: int
  network: str = "mlp"
  widths: tuple[int, ...] = (64,)
  activation: str = "relu"
  code: str = "linear"
  likelihood: str = "gaussian"

  def __post_init__(self) -> None:
    for field, allowed in {
      "network": NETWORKS,
      "activation": tuple(ACTIVATIONS),
      "code": CODES,
      "likelihood": tuple(LIKELIHOODS),
    }.items():
      value = getattr(self, field)
      if value not in allowed:
        raise UsageError(f"{field} is {value!r}; allowed: {', '.join(allowed)}")
    sizes = (*self.features, self.latent_size, *self.widths)
    if not all(isinstance(size, int) and size >= 1 for size in sizes):
      raise UsageError(
        f"features {self.features}, latent_size {self.latent_size} and widths"
        f" {self.widths} must be integers of at least 1"
      )
    images = len(self.features) in (2, 3)
    if self.network == "conv" and not (images and self.widths):
      raise UsageError(
        "network 'conv' needs images [height, width(, channels)] and at least"
        f" one width; got features {self.features} and widths {self.widths}"
      )


def autoencoder(spec: Spec, latent_size: Scalar | None = None) -> Autoencoder:
  """Builds the pure functions of an autoencoder.

  Args:
    spec: the static shape.
    latent_size: how many of the `spec.latent_size` units are there; may be
      traced. Default: all of them.

  Returns:
    The bundle of functions, closed over the mask. `encode` and `decode` raise
    ValueError at arrays that do not end in the spec's shape.

  Raises:
    UsageError: a `latent_size` that is not traced is out of range.
  """
  size = spec.latent_size if latent_size is None else latent_size
  if isinstance(size, int) and not 1 <= size <= spec.latent_size:
    raise UsageError(
      f"latent_size must be in 1 ... {spec.latent_size}; got {size}"
    )
  mask = (jnp.arange(spec.latent_size) < size).astype(jnp.float32)
  encoder = _Encoder(spec, _latent_columns(mask))
  decoder = _Decoder(spec, _latent_rows(mask, size))
  likelihood = LIKELIHOODS[spec.likelihood]

  def init(key: Key) -> Params:
    encoder_key, decoder_key = jax.random.split(key)
    x = jnp.zeros((1, *spec.features))
    z = jnp.zeros((1, spec.latent_size))
    return {
      "encoder": encoder.init(encoder_key, x)["params"],
      "decoder": decoder.init(decoder_key, z)["params"],
    }

  def dense_code(params: Params, x: Array) -> Array | Gaussian:
    batch = _leading(x, spec.features)
    heads = encoder.apply(
      {"params": params["encoder"]}, x.reshape(-1, *spec.features)
    )
    return jax.tree.map(
      lambda head: (head * mask[None]).reshape(*batch, -1), heads
    )

  def encode(params: Params, x: Array) -> Array | Gaussian:
    code = dense_code(params, x)
    if isinstance(code, Gaussian) or spec.code in ACTIVATIONS:
      return code
    own, flat = params["objective"], code.reshape(-1, spec.latent_size)
    if spec.code == "k_sparse":
      flat = codes.top_k(flat, own["k"], mask)
    else:
      flat = codes.quantize(flat, own["codebook"]) * mask[None]
    return flat.reshape(code.shape)

  def encode_and_jacobian_norm(params: Params, x: Array) -> tuple[Array, Array]:
    batch = _leading(x, spec.features)
    x = x.reshape(-1, *spec.features)

    def point(x: Array) -> Array:
      code = encode(params, x)
      return code.mean if isinstance(code, Gaussian) else code

    if spec.network == "mlp" and spec.code in (*ACTIVATIONS, "gaussian"):
      z, norm = _dense_code_and_norm(spec, params["encoder"], mask, x)
    else:
      z, norm = point(x), penalties.contractive(point, x)
    return z.reshape(*batch, -1), norm.reshape(batch)

  def decode(params: Params, z: Array) -> Array:
    batch = _leading(z, (spec.latent_size,))
    flat = z.reshape(-1, spec.latent_size) * mask[None]
    decoded = decoder.apply({"params": params["decoder"]}, flat)
    return decoded.reshape(*batch, *likelihood.shape(spec.features))

  def prior(params: Params) -> Gaussian:
    own = params.get("objective", {})
    if "pseudo_inputs" in own:
      of_each: Any = encode(params, own["pseudo_inputs"])
      return of_each
    return Gaussian(*2 * (jnp.zeros((1, spec.latent_size)),))

  return Autoencoder(
    init=init,
    encode=encode,
    dense_code=dense_code,
    encode_and_jacobian_norm=encode_and_jacobian_norm,
    decode=decode,
    nll=likelihood.nll,
    mean=likelihood.mean,
    log_normalizer=math.prod(spec.features) * likelihood.log_normalizer,
    prior=prior,
    layers=_layers(spec, mask),
    latent_mask=mask,
  )


def unpad(params: Params, latent_size: int) -> Params:
  """Cuts masked parameters down to the true network of `latent_size` units.

  What an objective has of its own stays as it is.
  """
  heads = {
    name: {
      "kernel": p["kernel"][:, :latent_size],
      "bias": p["bias"][:latent_size],
    }
    for name, p in params["encoder"].items()
    if name in _HEADS
  }
  first = params["decoder"]["latent"]
  return params | {
    "encoder": params["encoder"] | heads,
    "decoder": params["decoder"]
    | {"latent": first | {"kernel": first["kernel"][:latent_size]}},
  }


def _leading(x: Array, trailing: tuple[int, ...]) -> tuple[int, ...]:
  """The batch dimensions of `x`."""
  num_leading = x.ndim - len(trailing)
  if x.shape[num_leading:] != trailing:
    raise ValueError(f"shape {x.shape} does not end in {trailing}")
  return x.shape[:num_leading]


def _dense_code_and_norm(
  spec: Spec, layers: Params, mask: Array, x: Array
) -> tuple[Array, Array]:
  """The code of an MLP `[n, latent]`, and `||dz/dx||_F^2` `[n]`."""
  gaussian = spec.code == "gaussian"
  names = [f"hidden_{i}" for i in range(len(spec.widths))]
  activations = [spec.activation] * len(names)
  names.append("mean" if gaussian else "code")
  activations.append("linear" if gaussian else spec.code)

  x = x.reshape(len(x), -1)
  slopes = []
  for name, activation in zip(names, activations, strict=True):
    x = x @ layers[name]["kernel"] + layers[name]["bias"][None]
    x, slope = jax.jvp(ACTIVATIONS[activation], (x,), (jnp.ones_like(x),))
    slopes.append(slope)
  kernels = [layers[name]["kernel"] for name in names]
  kernels[-1] = kernels[-1] * mask[None]
  return x * mask[None], penalties.contractive_dense(
    kernels, slopes, linear_code=activations[-1] == "linear"
  )


def _layers(spec: Spec, mask: Array) -> tuple[Layer, ...]:
  """The layers of an MLP, each with its mirror in the decoder."""
  if spec.network != "mlp" or spec.code not in ACTIVATIONS:
    return ()
  hidden = [f"hidden_{i}" for i in range(len(spec.widths))]
  down, up = [*hidden, "code"], [*reversed(hidden), "latent"]
  activation, likelihood = (
    ACTIVATIONS[spec.activation],
    LIKELIHOODS[spec.likelihood],
  )

  def dense(part: str, name: str, params: Params, h: Array) -> Array:
    layer = params[part][name]
    return h @ layer["kernel"] + layer["bias"][None]

  def layer(k: int) -> Layer:
    is_first, is_code = k == 0, k == len(hidden)

    def encode(params: Params, h: Array) -> Array:
      h = dense("encoder", down[k], params, h)
      return (
        ACTIVATIONS[spec.code](h) * mask[None] if is_code else activation(h)
      )

    def decode(params: Params, h: Array) -> Array:
      h = dense("decoder", up[k], params, h)
      if not is_first:
        return activation(h)
      x = ACTIVATIONS[likelihood.activation](h)
      features = (math.prod(spec.features),)
      return x.reshape(len(x), *likelihood.shape(features))

    return Layer(
      encode,
      decode,
      likelihood.nll if is_first else likelihoods.half_squared_error,
    )

  return tuple(map(layer, range(len(down))))


_HEADS = ("code", "mean", "log_variance")
_lecun_normal = jax.nn.initializers.lecun_normal()
_lecun_normal_transposed = jax.nn.initializers.lecun_normal(
  in_axis=-1, out_axis=-2
)


def _latent_columns(mask: Array) -> Callable[..., Array]:
  """Initializes a kernel `[fan_in, latent]`, drawn with latent leading."""

  def init(key: Key, shape: tuple[int, int], dtype: Any) -> Array:
    draw = _lecun_normal_transposed(key, shape[::-1], dtype)
    return draw.T * mask[None]

  return init


def _latent_rows(mask: Array, latent_size: Scalar) -> Callable[..., Array]:
  """Initializes a kernel `[latent, fan_out]` whose fan-in is `latent_size`."""

  def init(key: Key, shape: tuple[int, int], dtype: Any) -> Array:
    scale = jnp.sqrt(shape[0] / jnp.asarray(latent_size, dtype))
    return _lecun_normal(key, shape, dtype) * scale * mask[:, None]

  return init


class _Encoder(nn.Module):
  """`[n, *features]` -> code `[n, latent]`, or a Gaussian of that shape."""

  spec: Spec
  head_init: Callable[..., Array]

  @nn.compact
  def __call__(self, x: Array) -> Array | Gaussian:
    spec = self.spec
    activation = ACTIVATIONS[spec.activation]
    if spec.network == "mlp":
      x = x.reshape(x.shape[0], -1)
    elif x.ndim == 3:  # images of one channel
      x = x[..., None]
    for i, width in enumerate(spec.widths):
      layer = (
        nn.Dense(width, name=f"hidden_{i}")
        if spec.network == "mlp"
        else nn.Conv(width, (3, 3), strides=2, name=f"hidden_{i}")
      )
      x = activation(layer(x))
    x = x.reshape(x.shape[0], -1)

    def head(name: str) -> Array:
      return nn.Dense(spec.latent_size, kernel_init=self.head_init, name=name)(
        x
      )

    if spec.code == "gaussian":
      return Gaussian(head("mean"), head("log_variance"))
    return ACTIVATIONS.get(spec.code, ACTIVATIONS["linear"])(head("code"))


class _Decoder(nn.Module):
  """Code `[n, latent]` -> the outputs for x (mlp: flattened)."""

  spec: Spec
  latent_init: Callable[..., Array]

  @nn.compact
  def __call__(self, z: Array) -> Array:
    spec = self.spec
    activation = ACTIVATIONS[spec.activation]
    decode = self._mlp if spec.network == "mlp" else self._conv
    x = decode(z, activation)
    return ACTIVATIONS[LIKELIHOODS[spec.likelihood].activation](x)

  def _mlp(self, z: Array, activation: Callable[[Array], Array]) -> Array:
    num_outputs = (
      math.prod(self.spec.features) * LIKELIHOODS[self.spec.likelihood].size
    )
    sizes = (*reversed(self.spec.widths), num_outputs)
    x = nn.Dense(sizes[0], kernel_init=self.latent_init, name="latent")(z)
    for i, size in enumerate(sizes[1:]):
      x = nn.Dense(size, name=f"hidden_{i}")(activation(x))
    return x

  def _conv(self, z: Array, activation: Callable[[Array], Array]) -> Array:
    height, width, channels = (*self.spec.features, 1)[:3]
    sizes = [(height, width)]
    for _ in self.spec.widths:
      height, width = -(-height // 2), -(-width // 2)
      sizes.append((height, width))
    top = (*sizes.pop(), self.spec.widths[-1])
    x = nn.Dense(math.prod(top), kernel_init=self.latent_init, name="latent")(z)
    x = x.reshape(x.shape[0], *top)
    channels *= LIKELIHOODS[self.spec.likelihood].size
    outputs = (*reversed(self.spec.widths[:-1]), channels)
    for i, output in enumerate(outputs):
      x = nn.ConvTranspose(output, (3, 3), strides=(2, 2), name=f"hidden_{i}")(
        activation(x)
      )
      # An odd side came from rounding up; the last row or column goes.
      rows, columns = sizes.pop()
      x = x[:, :rows, :columns]
    return x
