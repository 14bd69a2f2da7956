"""Checks a sweep before it starts: every group's training is traced."""

import functools
import inspect
import math
import textwrap
import traceback
from collections.abc import Callable, Collection
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ae_jax.data import Dataset, to_float
from ae_jax.data.supervision import Pairs, supervise
from ae_jax.declarations import of_likelihood, of_objective
from ae_jax.engine.group import group_trainer, groups, padded_spec, stack
from ae_jax.epoch_order import batching
from ae_jax.metrics.columns import BASELINES, METRICS
from ae_jax.minibatch import examples_of
from ae_jax.networks import autoencoder, unpad
from ae_jax.parameters import split
from ae_jax.schedules import Hyper
from ae_jax.settings import RESERVED
from ae_jax.train_state import Trainer, TrainState
from ae_jax.trial import Trial
from ae_jax.types import Labeled, UsageError

_ROWS = 1024  # looked at at a time


def check(
  trials: list[Trial],
  dataset: Dataset,
  memory_bytes: int,
  own_columns: Collection[str] = (),
) -> None:
  """Traces the training of every group, without compiling or running it.

  Args:
    trials: of the grid.
    dataset: to train on.
    memory_bytes: what a program may take.
    own_columns: of a user's metrics.

  Raises:
    UsageError: a network or its likelihood does not fit the data; the state of
      a single trial does not fit the memory; or an objective does not give a
      scalar loss and a dict of scalar terms with names of their own.
  """
  supervised = functools.cache(
    lambda kind: supervise(dataset, dataset.train, kind)
  )
  columns = {*RESERVED, *METRICS, *own_columns}
  columns = columns.union(*(trial.settings for trial in trials))
  for group in groups(trials):
    _check_missing(group[0], dataset)
    _check_dequantize(group[0], dataset)
    for x in (dataset.train, *dataset.held_out.values()):
      _check_range(group[0], x)
      _check_values(group[0], x)
    if group[0].stopping is not None and dataset.validation is None:
      raise UsageError(
        "patience and keep_best need a validation set: give one, or a"
        " validation_fraction above 0"
      )
    state, result = _trace(group, dataset, supervised)
    if ":" in group[0].settings["network"]:  # a user's
      _check_sizes(group, dataset.train.shape[1:])
    name = group[0].settings["objective"]
    _check_state(name, state, memory_bytes)
    _check_result(name, result, columns)


def _trace(
  group: list[Trial], dataset: Dataset, supervised: Callable[[str], Any]
) -> tuple[Any, Any]:
  """Shapes of a trial's state, and of what its objective returns."""
  name = group[0].settings["objective"]
  one = group_trainer(group, dataset.train.shape[1:], dataset.num_train)
  key, hyper = jax.tree.map(lambda x: x[0], stack(group[:1]))
  batch = _minibatch(group[0], dataset, supervised)
  try:
    state = jax.eval_shape(one.init, key, hyper)
    _check_floats(name, state)
    result = jax.eval_shape(
      lambda state: one.loss(
        state.params, key, batch, one.schedule(hyper, state.step), key
      ),
      state,
    )
    _check_scalars(result)
    if group[0].source:  # what is shipped is tested
      _trace_own(group[0], one, hyper, batch, state)
  except UsageError as error:
    if ":" not in name:
      raise
    raise UsageError(f"objective {name}: {error}") from error
  except Exception as error:
    if not group[0].source:
      raise
    raise UsageError(_where(group[0], error)) from error
  return state, result


def _trace_own(
  trial: Trial, one: Trainer, hyper: Hyper, batch: Any, state: TrainState
) -> None:
  """Traces what a user's likelihood, optimizer or hook takes part in.

  Raises:
    UsageError: a likelihood or a step gives other shapes.
  """
  x = examples_of(batch)
  if of_objective(trial.functions["objective"]).batch == "pairs":
    x = x[:, 0]
  decoder = functools.partial(_of_decoder, one, hyper, to_float(x))
  mean = jax.eval_shape(decoder, state)
  if mean.shape != x.shape:
    raise UsageError(
      f"the mean of likelihood {trial.settings['likelihood']} must be [batch,"
      f" *features]; it is {[*mean.shape]} for {[*x.shape]}"
    )
  jax.eval_shape(lambda state: one.step(state, batch, hyper), state)


def _of_decoder(one: Trainer, hyper: Hyper, x: Any, state: TrainState) -> Any:
  """The mean of what is decoded of codes of 0; its likelihood is traced."""
  model = one.model(hyper)
  z = jnp.zeros((len(x), len(model.latent_mask)))
  decoded = model.decode(state.params, z)
  model.nll(x, decoded)
  return model.mean(decoded)


def _check_floats(name: str, state: Any) -> None:
  if any(
    not jnp.issubdtype(x.dtype, np.floating)
    for x in jax.tree.leaves(split(state.params)[0])
  ):
    raise UsageError(f"objective {name} has parameters that are no floats")


def _check_state(name: str, state: Any, memory_bytes: int) -> None:
  needed = sum(x.size * x.dtype.itemsize for x in jax.tree.leaves(state))
  if needed > memory_bytes:
    raise UsageError(
      f"one trial of {name} takes {needed / 1e9:.3g} GB at the largest"
      f" latent_size, and {memory_bytes / 1e9:.3g} GB are given"
    )


def _check_scalars(result: Any) -> None:
  shapes = jax.tree.map(lambda x: x.shape, result)
  match shapes:
    case ((), dict() as terms, _) if all(s == () for s in terms.values()):
      pass
    case _:
      raise UsageError(
        "it must return a scalar loss and a dict of scalars (and its next"
        f" state, where it declares one); it returns shapes {shapes}"
      )


def _check_result(name: str, result: Any, columns: set[str]) -> None:
  taken = [
    term for term in result[1] if term in columns or term.startswith(BASELINES)
  ]
  if taken:
    raise UsageError(
      f"objective {name} names a term {taken[0]!r}; that is another column"
      " of the table"
    )


def _minibatch(
  trial: Trial, dataset: Dataset, supervised: Callable[[str], Any]
) -> Any:
  """A batch as the trial's objective takes them, all of one example.

  Raises:
    UsageError: the dataset lacks what it needs.
  """
  size, _ = batching(dataset.num_train, trial.settings["batch_size"])
  one = dataset.train[:1]
  x = np.broadcast_to(one, (size, *one.shape[1:]))
  if trial.batch_kind is None:
    return x
  rows = supervised(trial.batch_kind)
  if isinstance(rows, Pairs):
    return np.broadcast_to(one[None], (size, 2, *one.shape[1:]))
  num_classes = int(rows.label.max()) + 1
  if num_classes > trial.settings["num_classes"]:
    raise UsageError(
      f"num_classes is {trial.settings['num_classes']}; this data has"
      f" {num_classes} classes"
    )
  return Labeled(x, np.broadcast_to(rows.label[:1], (size,)))


def _check_sizes(group: list[Trial], features: tuple[int, ...]) -> None:
  """Raises UsageError where a network's shapes depend on the latent size."""
  size = min(trial.settings["latent_size"] for trial in group)
  padded, true = (
    jax.eval_shape(
      lambda key, spec=spec: unpad(autoencoder(spec).init(key), size),
      jax.random.key(0),
    )
    for spec in (padded_spec(group, features), group[0].spec(features, size))
  )
  if jax.tree.map(np.shape, padded) != jax.tree.map(np.shape, true):
    raise UsageError(
      f"network {group[0].settings['network']} has other shapes at another"
      " latent_size: the layers next to the code are added to it, and nothing"
      " else may depend on spec.latent_size"
    )


def _check_missing(trial: Trial, dataset: Dataset) -> None:
  """Raises UsageError where entries are missing and may not be."""
  if trial.settings.get("missing", False) != dataset.missing:
    raise UsageError(
      "missing is what the data are, no setting: give missing=True"
      " (data.missing=True)"
    )
  features = dataset.train.shape[1:]
  size = trial.settings["latent_size"]
  if dataset.missing and not (
    trial.spec(features, size).likelihood_of({}).independent
  ):
    counts = "library_size" in trial.settings
    raise UsageError(
      f"likelihood {trial.settings['likelihood']!r} ties the features of an"
      " example together, so that single ones cannot be missing: take"
      + (" library_size=False" if counts else " another")
    )


def _check_dequantize(trial: Trial, dataset: Dataset) -> None:
  """Raises UsageError where noise that is added to bytes means nothing."""
  if not dataset.dequantize:
    return
  if dataset.train.dtype != np.uint8 or dataset.binarize:
    raise UsageError(
      "data.dequantize needs bytes (uint8) that are neither standardized nor"
      f" binarized; {dataset.name} holds {dataset.train.dtype}"
    )
  declared = of_likelihood(trial.functions["likelihood"])
  if declared.kind != "density" or declared.support != (-math.inf, math.inf):
    raise UsageError(
      "data.dequantize needs a likelihood that is a density of any numbers,"
      " such as 'calibrated_gaussian'; it is"
      f" {trial.settings['likelihood']!r}"
    )


def _check_range(trial: Trial, x: np.ndarray) -> None:
  least, most = of_likelihood(trial.functions["likelihood"]).support
  low, high = to_float(np.nanmin(x)), to_float(np.nanmax(x))
  if not least <= low <= high <= most:
    fixed = of_objective(trial.functions["objective"]).likelihood
    raise UsageError(
      f"likelihood {trial.settings['likelihood']!r} needs data in [{least:g},"
      f" {most:g}]; these are in [{low:.4g}, {high:.4g}]"
      + ("" if fixed else ": take likelihood 'gaussian' or 'sigmoid_gaussian'")
    )


def _check_values(trial: Trial, x: np.ndarray) -> None:
  """Raises UsageError at data that no mass is a distribution over."""
  declared = of_likelihood(trial.functions["likelihood"])
  if declared.values is None or declared.relaxed:
    return
  size = trial.settings["latent_size"]
  likelihood = trial.spec(x.shape[1:], size).likelihood_of({})
  for start in range(0, len(x), _ROWS):
    rows = to_float(x[start : start + _ROWS])
    if trial.settings.get("missing"):
      rows = np.asarray(likelihood.filled(rows))
    if not likelihood.are_values(rows):
      raise UsageError(
        f"likelihood {trial.settings['likelihood']!r} needs"
        f" {declared.values.text}; these data hold other numbers"
      )


def _where(trial: Trial, error: Exception) -> str:
  """What a user's function raised, and on which line, in one line."""
  own = {k: f for k, f in trial.functions.items() if ":" in trial.settings[k]}
  of_code = {
    getattr(inspect.unwrap(f), "__code__", None): k for k, f in own.items()
  }
  modules = {f.__module__ for f in own.values()}
  kind, line = "objective" if "objective" in own else next(iter(own)), ""
  for frame, number in traceback.walk_tb(error.__traceback__):
    kind = of_code.get(frame.f_code, kind)
    if frame.f_globals.get("__name__") in modules:
      line = f" (line {number})"
  reason = textwrap.shorten(f"{type(error).__name__}: {error}", 300)
  return f"{kind} {trial.settings[kind]}{line} raised {reason}"
