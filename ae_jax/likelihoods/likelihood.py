"""A likelihood p(x|z) of data of one shape, its hyper-parameters bound."""

import dataclasses
import functools
import math
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ae_jax.declarations import (
  LikelihoodDeclaration,
  keyword_only,
  of_likelihood,
)
from ae_jax.types import Array, Params, UsageError


@dataclasses.dataclass(frozen=True, eq=False)
class Likelihood:
  """What the output of a decoder means, as p(x|z).

  Attributes:
    function: (x `[batch, *features]`, decoded, **hyper) -> `-log p(x|z)` of
      each feature, or summed over them, in nats, without `log_normalizer`.
    features: shape of an example.
    hyper: hyper-parameters of the function, maybe traced.
    missing: whether entries of x may be NaN, which count nothing: of features
      that are independent given z, the marginal of the others.
  """

  function: Callable[..., Array]
  features: tuple[int, ...]
  hyper: Mapping[str, Any]
  missing: bool = False

  @property
  def declaration(self) -> LikelihoodDeclaration:
    """The rest."""
    return of_likelihood(self.function)

  @property
  def size(self) -> int:
    """Numbers of a feature that the network gives."""
    return size_of(self.function, self.hyper)

  def init(self) -> Params:
    """The parameters that all examples share; `{}` where there are none."""
    declared = self.declaration.params
    if declared is None:
      return {}
    made = self._with_hyper(declared)(self.features)
    return jax.tree.map(lambda p: jnp.asarray(p, jnp.float32), made)

  def decoded(self, params: Params, h: Array, features: tuple[int, ...]) -> Any:
    """The parameters of p(x|z): the network's, and behind them the shared ones.

    Args:
      params: of the model; the shared ones are in `params["likelihood"]`.
      h: what the network gives, `[batch, ...]`.
      features: shape of an example, or that shape flattened.

    Returns:
      `[batch, *features]`; of several numbers `[batch, *features, numbers]`.
    """
    shape, size = (h.shape[0], *features), self.size
    shared = params.get("likelihood", {})
    if not shared:
      return h.reshape(shape if size == 1 else (*shape, size))
    columns = [
      jnp.broadcast_to(
        jnp.broadcast_to(shared[name], self.features).reshape(features)[None],
        shape,
      )[..., None]
      for name in sorted(shared)
    ]
    return jnp.concatenate([h.reshape(*shape, size), *columns], axis=-1)

  def per_feature(self, x: Array, decoded: Array) -> Array:
    """What the function gives: `[batch, *features]`, or summed `[batch]`.

    Where entries of x are missing: 0, with derivatives of 0.

    Raises:
      UsageError: it gives another shape.
    """
    if self.missing:
      return self._of_observed(x, decoded)
    given = self.function(x, decoded, **self.hyper)
    if given.shape not in (x.shape, x.shape[:1]):
      raise UsageError(
        "a likelihood must return [batch, *features], or [batch], summed over"
        f" the features; it returns {[*given.shape]} for {[*x.shape]}"
      )
    return given

  def _of_observed(self, x: Array, decoded: Array) -> Array:
    given = self.function(self.filled(x), decoded, **self.hyper)
    if given.shape != x.shape:
      raise UsageError(
        "of data with missing entries a likelihood must return [batch,"
        f" *features]; it returns {[*given.shape]} for {[*x.shape]}"
      )
    return jnp.where(jnp.isnan(x), 0.0, given)

  def filled(self, x: Array | np.ndarray) -> Array:
    """The data with a value that is allowed where entries are missing."""
    low, high = self.declaration.support
    value = min(max(0.0, low), high)
    if self.declaration.values is None:  # a density may be infinite at an end
      if math.isfinite(low + high):
        value = (low + high) / 2
      elif math.isfinite(low):
        value = low + 1
      elif math.isfinite(high):
        value = high - 1
    return jnp.where(jnp.isnan(x), jnp.float32(value), x)

  @property
  def independent(self) -> bool:
    """Whether the features are independent given z, see the declaration."""
    declared = self.declaration.independent
    if isinstance(declared, bool):
      return declared
    return self._with_hyper(declared)()

  def nll(self, x: Array, decoded: Array) -> Array:
    """`-log p(x|z)` `[batch]`, without `log_normalizer`, in nats."""
    return sum_features(self.per_feature(x, decoded))

  def mean(self, decoded: Array, x: Array | None = None) -> Array:
    """x~, the mean of p(x|z), in the units of x.

    Args:
      decoded: `[..., *features]`, or `[..., *features, numbers]`.
      x: examples `[..., *features]` whose library size it is multiplied by,
        where the likelihood has one. Default: 1.
    """
    is_single = self.size + len(self.init()) == 1
    rank = len(self.features) + (0 if is_single else 1)
    lead = decoded.shape[: decoded.ndim - rank]
    flat = decoded.reshape(-1, *decoded.shape[decoded.ndim - rank :])
    mean = self.declaration.mean(flat, **self.hyper)
    mean = mean.reshape(*lead, *mean.shape[1:])
    if x is None or self.declaration.library_size is None:
      return mean
    lead = x.shape[: x.ndim - len(self.features)]
    size = self._with_hyper(self.declaration.library_size)(
      x.reshape(-1, *self.features)
    )
    return mean * size.reshape(*lead, *[1] * len(self.features))

  def are_values(self, x: Any) -> bool:
    """Whether data are values that a mass is a distribution over."""
    values = self.declaration.values
    return values is None or bool(self._with_hyper(values.contain)(x))

  def kind(self, x: Any) -> str:
    """What `nll` of data is.

    Args:
      x: NumPy `[n, *features]`, as float32.

    Returns:
      "density", "mass", "mixed" or "unnormalized"; or "given_total", a mass
      p(x | l, z) that is given the library size l of x, which says something of
      x: it is no mass of x.
    """
    if not self.are_values(x):
      return "unnormalized"
    takes_total = self.hyper.get("library_size", True)
    if self.declaration.library_size is not None and takes_total:
      return "given_total"
    return self.declaration.kind

  @property
  def encoder_input(self) -> Callable[[Array], Array] | None:
    """X `[n, *features]` -> what the encoder sees of it."""
    function = self.declaration.encoder_input
    return None if function is None else self._with_hyper(function)

  def _with_hyper(self, function: Callable) -> Callable:
    return with_hyper(function, self.hyper)


def size_of(function: Callable, hyper: Mapping[str, Any]) -> int:
  """Numbers of a feature that the network gives, for hyper-parameters."""
  size = of_likelihood(function).size
  return size if isinstance(size, int) else with_hyper(size, hyper)()


def with_hyper(function: Callable, hyper: Mapping[str, Any]) -> Callable:
  """A function with those hyper-parameters bound that it takes."""
  if not hyper:
    return function
  names = keyword_only(function)
  return functools.partial(
    function, **{k: v for k, v in hyper.items() if k in names}
  )


def sum_features(per_feature: Array) -> Array:
  """Sums over all axes but the first."""
  return jnp.sum(per_feature, axis=tuple(range(1, per_feature.ndim)))


def check_same_shape(x: Array, reconstruction: Array) -> None:
  """Raises ValueError at two shapes."""
  if x.shape != reconstruction.shape:
    raise ValueError(
      f"data {x.shape} and reconstruction {reconstruction.shape} differ in"
      " shape"
    )
