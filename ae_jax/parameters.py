"""The parameters of a trial: of the model, and what its objective declares.

`encoder` and `decoder` are the network's. Where there are any: `objective`,
trained with them; `state`, carried from step to step; `numbers`, those
hyper-parameters of network and likelihood that a trained model needs.
"""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ae_jax import keys
from ae_jax.declarations import keyword_only, of_objective
from ae_jax.networks import Spec, model_of, unpad
from ae_jax.schedules import Hyper
from ae_jax.types import Array, Autoencoder, Key, Objective, Params, UsageError

_NOT_TRAINED = ("state", "numbers")
OWN = ("objective", *_NOT_TRAINED)  # what a network does not have itself


def init_params(
  objective: Objective, model: Autoencoder, key: Key, hyper: Hyper
) -> Params:
  """The parameters before the first step.

  All floats are float32, also where JAX_ENABLE_X64 is set.

  Args:
    objective: some of its hyper-parameters may be bound.
    model: its network.
    key: of the trial, not consumed.
    hyper: its other hyper-parameters, those that are scheduled at their last
      value; more are ignored.

  Raises:
    UsageError: what the objective declares returns no dict.
  """
  params = model.init(jax.random.fold_in(key, keys.INIT))
  declared = of_objective(objective)
  own = arguments(objective, hyper)
  for name, function, number in (
    ("objective", declared.params, keys.OBJECTIVE),
    ("state", declared.state, keys.STATE),
  ):
    if function is not None:
      made = function(model, params, jax.random.fold_in(key, number), **own)
      _check_tree(function.__name__, made)
      params = params | {name: jax.tree.map(_float32, made)}
  return params


def _check_tree(name: str, made: Any) -> None:
  """Raises UsageError at what no file can hold."""
  if not isinstance(made, dict):
    raise UsageError(
      f"{name} must return a dict of arrays; it returns {type(made).__name__}"
    )
  for key, value in made.items():
    if not isinstance(key, str) or {*key} & {*"./"} or not key:
      raise UsageError(
        f"{name} returns the key {key!r}; keys are texts without . and /"
      )
    if isinstance(value, dict):
      _check_tree(name, value)
    elif not isinstance(value, int | float) and not (
      hasattr(value, "dtype")
      and jax.dtypes.issubdtype(value.dtype, np.number)
      | (value.dtype == np.bool_)
    ):
      raise UsageError(
        f"{name} returns {key!r}, which is no array of numbers and no dict of"
        " them"
      )


def arguments(objective: Objective, hyper: Hyper) -> dict[str, Any]:
  """The hyper-parameters of an objective: bound, given, or by default."""
  names = keyword_only(getattr(objective, "func", objective))
  bound = getattr(objective, "keywords", {})
  return {**names, **bound, **{k: v for k, v in hyper.items() if k in names}}


def with_numbers(params: Params, spec: Spec, hyper: Hyper) -> Params:
  """Adds the traced hyper-parameters of network and likelihood."""
  names = {
    *keyword_only(spec.network_function),
    *keyword_only(spec.likelihood_function),
  }
  numbers = {k: _float32(v) for k, v in hyper.items() if k in names}
  return params | {"numbers": numbers} if numbers else params


def split(params: Params) -> tuple[Params, Params]:
  """What is trained, and what is carried."""
  carried = {k: params[k] for k in _NOT_TRAINED if k in params}
  return {k: v for k, v in params.items() if k not in carried}, carried


def unpadded(
  objective: Callable | None,
  spec: Spec,
  settings: Mapping[str, Any],
  params: Params,
) -> Params:
  """The parameters of the true network of a trial.

  Args:
    objective: of the trial, or None where it is not known: then its own
      parameters stay padded.
    spec: of the network, of its own latent size.
    settings: of the trial.
    params: padded.
  """
  cut = unpad(params, spec.latent_size)
  own = [name for name in ("objective", "state") if name in params]
  if objective is None or not own:
    return cut
  names = keyword_only(objective)
  hyper = {k: settings[k] for k in names if k in settings}
  true = jax.eval_shape(
    lambda key: init_params(objective, model_of(spec, params), key, hyper),
    jax.random.key(0),
  )
  return cut | {
    name: jax.tree.map(
      lambda p, like: p[tuple(map(slice, like.shape))],
      params[name],
      true[name],
    )
    for name in own
  }


def are_finite(params: Params) -> Array:
  """Whether all numbers are, also those that no gradient has seen."""
  leaves = jax.tree.leaves(params)
  return jnp.all(jnp.stack([jnp.all(jnp.isfinite(p)) for p in leaves]))


def check_same(before: tuple[Params, Any], after: tuple[Params, Any]) -> None:
  """Checks that a step changes no shape or type.

  Args:
    before: parameters and the state of the optimizer.
    after: the same, after a step.

  Raises:
    UsageError: it does.
  """
  old, new = _described(before), _described(after)
  for path in old | new:
    if old.get(path) != new.get(path):
      raise UsageError(
        f"a step makes {path.removeprefix('0.')} another array:"
        f" {old.get(path, 'none')} becomes {new.get(path, 'none')}"
      )


def _described(tree: Any) -> dict[str, str]:
  """Path -> type and shape, such as `float32[3]`."""
  return {
    jax.tree_util.keystr(path, simple=True, separator="."): (
      f"{jnp.result_type(leaf)}{[*jnp.shape(leaf)]}"
    )
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree)
  }


def _float32(p: Any) -> Any:
  is_float = jnp.issubdtype(jnp.result_type(p), jnp.floating)
  return jnp.asarray(p, jnp.float32 if is_float else None)
