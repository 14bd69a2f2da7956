"""A table of mixed columns: each has a likelihood of its own."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from ae_jax.declarations import Values, keyword_only, likelihood, of_likelihood
from ae_jax.likelihoods import counts, location_scale, unit_interval
from ae_jax.likelihoods.likelihood import Likelihood
from ae_jax.types import Array, Params, UsageError

_ALLOWED: dict[str, Callable[..., Array]] = {
  function.__name__: function
  for function in (
    location_scale.calibrated_gaussian,
    location_scale.laplace,
    location_scale.student_t,
    unit_interval.bernoulli,
    unit_interval.continuous_bernoulli,
    unit_interval.binomial,
    unit_interval.categorical,
    counts.poisson,
    counts.negative_binomial,
    counts.zero_inflated_negative_binomial,
  )
}
# Columns have units of their own: a scale each, and no common library size.
_OWN = {"scale": "feature", "library_size": False}


class _Block(NamedTuple):
  """Neighboring columns of one likelihood.

  Attributes:
    likelihood: of these columns.
    of: which columns.
    names: of the parameters that examples share -> in `params["likelihood"]`.
  """

  likelihood: Likelihood
  of: slice
  names: dict[str, str]


def _parts(columns: str) -> list[tuple[str, str]]:
  """(likelihood, number of columns or ""), as they are written."""
  parts = [part.partition(":") for part in columns.split("+")]
  for place, (name, colon, number) in enumerate(parts):
    is_last = place == len(parts) - 1
    is_number = number.isdecimal() and int(number) > 0
    if name not in _ALLOWED or not (is_number if colon else is_last):
      raise UsageError(
        f"columns is {columns!r}; write LIKELIHOOD:NUMBER+..., the last one"
        " perhaps without number for all that is left, of"
        f" {', '.join(_ALLOWED)}"
      )
  return [(name, number) for name, _, number in parts]


def _hyper(name: str) -> dict[str, Any]:
  defaults = keyword_only(_ALLOWED[name])
  return defaults | {k: v for k, v in _OWN.items() if k in defaults}


def _blocks(features: tuple[int, ...], columns: str) -> list[_Block]:
  parts = _parts(columns)
  width = sum(int(number or 0) for _, number in parts)
  left = features[-1] - width
  if left < 0 or (left > 0) != (not parts[-1][1]):
    raise UsageError(
      f"columns is {columns!r}: {width} columns of {features[-1]}"
    )
  blocks, start = [], 0
  for i, (name, number) in enumerate(parts):
    end = start + int(number or left)
    one = Likelihood(
      _ALLOWED[name], (*features[:-1], end - start), _hyper(name)
    )
    names = {shared: f"{i}_{shared}" for shared in sorted(one.init())}
    blocks.append(_Block(one, slice(start, end), names))
    start = end
  return blocks


def _of_one_column(columns: str) -> list[Likelihood]:
  return [
    Likelihood(_ALLOWED[name], (1,), _hyper(name))
    for name, _ in _parts(columns)
  ]


def _size(*, columns: str) -> int:
  return max(one.size for one in _of_one_column(columns))


def _params(features: tuple[int, ...], *, columns: str) -> Params:
  return {
    name: jnp.zeros(features)
    for block in _blocks(features, columns)
    for name in block.names.values()
  }


def _decoded(decoded: Array, blocks: list[_Block], size: int) -> list[Array]:
  """What the likelihood of each block takes."""
  names = sorted(name for block in blocks for name in block.names.values())
  if size + len(names) == 1:
    decoded = decoded[..., None]
  found = []
  for block in blocks:
    shared = [size + names.index(name) for name in block.names.values()]
    numbers = np.array([*range(block.likelihood.size), *shared])
    own = decoded[..., block.of, :][..., numbers]
    found.append(own if len(numbers) > 1 else own[..., 0])
  return found


def _mean(decoded: Array, *, columns: str) -> Array:
  size = _size(columns=columns)
  shape = decoded.shape[1:]
  is_single = size == 1 and not any(
    one.init() for one in _of_one_column(columns)
  )
  blocks = _blocks(shape if is_single else shape[:-1], columns)
  each = _decoded(decoded, blocks, size)
  return jnp.concatenate(
    [b.likelihood.mean(own) for b, own in zip(blocks, each, strict=True)],
    axis=-1,
  )


def _encoder_input(x: Array, *, columns: str) -> Array:
  seen = []
  for block in _blocks(x.shape[1:], columns):
    function = block.likelihood.encoder_input
    own = x[..., block.of]
    seen.append(own if function is None else function(own))
  return jnp.concatenate(seen, axis=-1)


def _independent(*, columns: str) -> bool:
  return all(one.independent for one in _of_one_column(columns))


def _are_values(x: np.ndarray, *, columns: str) -> bool:
  def fits(block: _Block) -> bool:
    declared = of_likelihood(block.likelihood.function)
    least, most = declared.support
    own = x[..., block.of]
    inside = least <= own.min() and own.max() <= most
    return inside and block.likelihood.are_values(own)

  return all(map(fits, _blocks(x.shape[1:], columns)))


@likelihood(
  mean=_mean,
  size=_size,
  params=_params,
  encoder_input=_encoder_input,
  kind="mixed",
  independent=_independent,
  values=Values("each column to be what its likelihood takes", _are_values),
)
def columns(
  x: Array, decoded: Array, *, columns: str = "calibrated_gaussian"
) -> Array:
  """Each column by the likelihood that `columns` names for it.

  Args:
    x: `[batch, *features]`; columns are its last axis.
    decoded: of each feature the numbers of the largest likelihood, and those
      that examples share.
    columns: LIKELIHOOD:NUMBER+LIKELIHOOD:NUMBER+..., from the first column;
      the last one without a number takes all that are left. A scale is of a
      column, and counts have no library size.

  Returns:
    `[batch, *features]` in nats.

  Raises:
    UsageError: the text is no such list, or is of another number of columns.
  """
  blocks = _blocks(x.shape[1:], columns)
  each = _decoded(decoded, blocks, _size(columns=columns))
  return jnp.concatenate(
    [
      b.likelihood.per_feature(x[..., b.of], own)
      for b, own in zip(blocks, each, strict=True)
    ],
    axis=-1,
  )
