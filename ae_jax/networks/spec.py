"""The static shape of an autoencoder."""

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Any

from ae_jax.declarations import (
  ObjectiveDeclaration,
  keyword_only,
  of_likelihood,
  of_objective,
  ranges_of,
)
from ae_jax.likelihoods import LIKELIHOODS, Likelihood
from ae_jax.networks.activations import ACTIVATIONS
from ae_jax.networks.network import Network
from ae_jax.networks.table import NETWORKS
from ae_jax.types import Array, Scalar, UsageError

CODES = (*ACTIVATIONS, "gaussian")
Numbers = Mapping[str, Scalar]


@dataclasses.dataclass(frozen=True)
class Spec:
  """The static shape of an autoencoder; the decoder mirrors the encoder.

  Attributes:
    features: shape of one example: `(d,)`, `(height, width, channels)`, ...
    latent_size: number of code units, masked ones included; may exceed the
      number of features.
    network: a name in `NETWORKS`, or a function that is declared as one.
    widths: units ("mlp") or channels ("conv") of each hidden layer of the
      encoder; `()` is a linear map.
    activation: of the hidden layers, a name in `ACTIVATIONS`.
    code: activation of the code, a name in `ACTIVATIONS`; or "gaussian" for an
      encoder that returns the mean and log-variance of q(z|x).
    likelihood: p(x|z), a name in `likelihoods.LIKELIHOODS`, or a function that
      is declared as one. A sweep's default is `likelihoods.default_for(code)`.
    objective: whose declaration is part of the model, see
      `declarations.ObjectiveDeclaration`; or None.
    options: static hyper-parameters of network and likelihood, as pairs.
    missing: whether entries of x may be missing: those that are NaN. Then the
      encoder sees 0 for them and, on a further last axis or as further channels
      of images with channels, 1 at each entry that is there and 0 elsewhere;
      and p(x|z) is that of the others.

  Raises:
    UsageError: a field has a value that is not allowed.
  """

  features: tuple[int, ...]
  latent_size: int
  network: str | Callable[..., Network] = "mlp"
  widths: tuple[int, ...] = (64,)
  activation: str = "relu"
  code: str = "linear"
  likelihood: str | Callable = "gaussian"
  objective: Callable | None = None
  options: tuple[tuple[str, Any], ...] = ()
  missing: bool = False

  def __post_init__(self) -> None:
    for field, allowed in {
      "network": tuple(NETWORKS),
      "activation": tuple(ACTIVATIONS),
      "code": CODES,
      "likelihood": tuple(LIKELIHOODS),
    }.items():
      value = getattr(self, field)
      if not callable(value) and value not in allowed:
        raise UsageError(f"{field} is {value!r}; allowed: {', '.join(allowed)}")
    activation = of_likelihood(self.likelihood_function).activation
    if activation not in ACTIVATIONS:
      raise UsageError(
        f"likelihood {_text(self.likelihood)} declares activation"
        f" {activation!r}; allowed: {', '.join(ACTIVATIONS)}"
      )
    self._check_options()
    sizes = (*self.features, self.latent_size, *self.widths)
    if not all(isinstance(size, int) and size >= 1 for size in sizes):
      raise UsageError(
        f"features {self.features}, latent_size {self.latent_size} and widths"
        f" {self.widths} must be integers of at least 1"
      )

  def _check_options(self) -> None:
    try:
      hash(self.options)
    except TypeError as error:
      raise UsageError("options must be numbers, texts or tuples") from error
    for function in (self.network_function, self.likelihood_function):
      for name, (low, high) in ranges_of(function).items():
        value = dict(self.options).get(name, low)
        if not low <= value <= high:
          raise UsageError(f"{name} must be in [{low}, {high}]; got {value}")

  def __repr__(self) -> str:
    """The fields, functions by name: the same in every process."""
    fields = (
      f"{field.name}={_text(getattr(self, field.name))}"
      for field in dataclasses.fields(self)
    )
    return f"Spec({', '.join(fields)})"

  @property
  def network_function(self) -> Callable[..., Network]:
    """Of the table, or a user's."""
    return (
      NETWORKS[self.network] if isinstance(self.network, str) else self.network
    )

  @property
  def likelihood_function(self) -> Callable[..., Array]:
    """Of the table, or a user's."""
    given = self.likelihood
    return LIKELIHOODS[given] if isinstance(given, str) else given

  @property
  def num_features(self) -> int:
    """Numbers of an example."""
    return math.prod(self.features)

  @property
  def num_outputs(self) -> int:
    """Numbers that the network's decoder gives for an example."""
    return self.num_features * self.likelihood_of({}).size

  @property
  def declaration(self) -> ObjectiveDeclaration:
    """Of the objective, as far as it is part of the model."""
    return of_objective(self.objective)

  def network_of(self, numbers: Numbers) -> Network:
    """The network, for numbers of its hyper-parameters.

    Raises:
      UsageError: the function returns something else.
    """
    function = self.network_function
    made = function(self, **self._arguments(function, numbers))
    if not isinstance(made, Network):
      raise UsageError(
        f"network {_text(function)} must return ae_jax.Network(encoder,"
        f" decoder, decoder_units); it returns {type(made).__name__}"
      )
    return made

  def likelihood_of(self, numbers: Numbers) -> Likelihood:
    """The likelihood, for numbers of its hyper-parameters."""
    function = self.likelihood_function
    own = keyword_only(function) | self._arguments(function, numbers)
    return Likelihood(function, self.features, own, self.missing)

  def _arguments(self, function: Callable, numbers: Numbers) -> dict[str, Any]:
    names = keyword_only(function)
    return {k: v for k, v in self.options if k in names} | {
      k: v for k, v in numbers.items() if k in names
    }


def _text(value: Any) -> str:
  if callable(value):
    return f"{value.__module__}:{value.__qualname__}"
  return repr(value)
