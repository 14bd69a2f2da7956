"""The few types that every module shares.

Symbols: `x` is data, `z` a code, `f` the encoder, `g` the decoder, `x~` the
reconstruction `g(f(x))`.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax

Array = jax.Array
Scalar = Array | float  # traced or not
Key = jax.Array  # a typed key, from jax.random.key
Params = Any  # a nested dict of arrays
Terms = dict[str, Array]


class UsageError(ValueError):
  """A mistake in what the user asked for, explained in one line.

  The message names the value that was passed and what is allowed. It is raised
  before anything is traced; the programs print it without a traceback.
  """

  def __str__(self) -> str:
    return " ".join(super().__str__().splitlines())  # names may hold any text


def reason(error: BaseException) -> str:
  """Kind and text of what a user's code raised, in one line."""
  return " ".join(f"{type(error).__name__}: {error}".split())


class Gaussian(NamedTuple):
  """A diagonal Gaussian `N(mean, diag(exp(log_variance)))`.

  Attributes:
    mean: `[..., latent]`.
    log_variance: `[..., latent]`, natural logarithm of sigma^2.
  """

  mean: Array
  log_variance: Array


Code = Array | Gaussian


class Layer(NamedTuple):
  """An encoder's layer with the layer of the decoder that mirrors it.

  Attributes:
    encode: (params, h `[batch, units]`) -> the next layer's `[batch, units]`.
    decode: (params, next) -> what `nll` understands.
    nll: (h, decoded) -> `[batch]`, in nats.
  """

  encode: Callable[[Params, Array], Array]
  decode: Callable[[Params, Array], Array]
  nll: Callable[[Array, Array], Array]


class Autoencoder(NamedTuple):
  """An autoencoder as pure functions; leading batch dimensions are free.

  The decoder stands for `p(x|z)`; `nll` is its `-log p(x|z)` in nats, up
  to a constant, and `mean` its expectation. Objectives use nothing else.

  Attributes:
    init: key -> params.
    encode: (params, x `[..., *features]`) -> z `[..., latent]`, or a
      `Gaussian` of that shape for an objective that needs one.
    dense_code: (params, x) -> the code before what the objective declares as
      `select`; otherwise what `encode` returns.
    encode_and_jacobian_norm: (params, x) -> z and `||dz/dx||_F^2` `[...]`, in
      the cheapest exact form that the network has; of a Gaussian, its mean.
    decode: (params, z) -> means or logits `[..., *features]`, or parameters of
      p(x|z) `[..., *features, numbers]`, which `nll` and `mean` understand.
    nll: (x `[batch, *features]`, decoded) -> `-log p(x|z)` `[batch]`, without
      `log_normalizer`.
    mean: (decoded, x=None) -> x~, in the units of x; of counts at the library
      size of the examples x, or else at 1.
    log_normalizer: what `nll` leaves out of `-log p(x|z)`, in nats:
      d/2 log 2 pi of a Gaussian with d features, 0 of a Bernoulli; of data
      with missing entries in proportion to the others.
    prior: params -> p(z), a mixture of diagonal Gaussians of equal weight, each
      field `[components, latent]`: what the objective declares, else N(0, I).
    condition: what the objective declares, (params, label) -> the parameters of
      the model of that class, see `networks.given`; or None.
    layers: of an MLP with a point code, from the input; else ().
    latent_mask: `[latent]` of 0/1; all ones outside a masked sweep. `encode`
      gives 0 where it is 0 (and log-variance 0); `decode` ignores those units.
    missing: whether entries of x may be missing: those that are NaN. `encode`
      and `nll` take them.
  """

  init: Callable[[Key], Params]
  encode: Callable[[Params, Array], Any]
  dense_code: Callable[[Params, Array], Any]
  encode_and_jacobian_norm: Callable[[Params, Array], tuple[Array, Array]]
  decode: Callable[[Params, Array], Array]
  nll: Callable[[Array, Array], Array]
  mean: Callable[..., Array]
  log_normalizer: float
  prior: Callable[[Params], Gaussian]
  condition: Callable[[Params, Any], Params] | None
  layers: tuple[Layer, ...]
  latent_mask: Array
  missing: bool = False


# A loss as one pure function, (model, params, key, batch, *, ...) -> (loss,
# terms): a scalar and a dict of scalars. What else it needs it declares, see
# `declarations.objective`.
Objective = Callable[..., tuple[Any, ...]]


class Labeled(NamedTuple):
  """Examples with their classes.

  Attributes:
    x: `[n, *features]`.
    label: `[n]`, integers from 0.
  """

  x: Any
  label: Any
