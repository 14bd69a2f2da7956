"""What a network is: all of an autoencoder but the layers next to the code."""

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

from ae_jax.likelihoods import Likelihood
from ae_jax.types import Array, Key, Layer, Params


class Module(Protocol):
  """A Flax Linen module, or any object with these two pure functions."""

  def init(self, key: Key, x: Array) -> Any:
    """Gives `{"params": a dict of arrays}`, or `{}` where there are none."""

  def apply(
    self, variables: Any, x: Array, *, rngs: dict[str, Key] | None = None
  ) -> Any:
    """The output; with `rngs` as in training, without as in use."""


class Network(NamedTuple):
  """What a network function gives: (spec, **hyper) -> this.

  The layers next to the code are added, so that every network can be masked
  down to a smaller code: a dense one from `h` to the code, or two to mean and
  log-variance, and a dense one from the code to what the decoder takes. The
  activation of the likelihood is added after the decoder, too.

  Attributes:
    encoder: x `[n, *features]` -> h `[n, units]`.
    decoder: h `[n, decoder_units]`, before any activation -> `[n, ...]`,
      `spec.num_outputs` numbers for each example.
    decoder_units: how many units the decoder takes.
    tie: (the encoder's parameters, the decoder's without any kernel) -> the
      decoder's with kernels; None where the decoder has its own.
    code_and_jacobian_norm: (the encoder's parameters, latent mask, x) -> the
      code, of a Gaussian its mean, and `||dz/dx||_F^2` `[n]`; None where there
      is no closed form.
    layers: (latent mask, likelihood) -> each layer with its mirror; None where
      the network is not made of layers.
  """

  encoder: Module
  decoder: Module
  decoder_units: int
  tie: Callable[[Params, Params], Params] | None = None
  code_and_jacobian_norm: (
    Callable[[Params, Array, Array], tuple[Array, Array]] | None
  ) = None
  layers: Callable[[Array, Likelihood], tuple[Layer, ...]] | None = None
