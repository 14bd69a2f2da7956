"""The static shape of an autoencoder."""

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp

from ae_jax.likelihoods import LIKELIHOODS
from ae_jax.types import Array, UsageError

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
      encoder that returns the mean and log-variance of q(z|x); or a linear code
      that `codes.top_k` ("k_sparse") or `codes.quantize` ("quantized") then
      reduces, with the objective's parameter `k` or `codebook`.
    likelihood: p(x|z), a name in `likelihoods.LIKELIHOODS`.

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
