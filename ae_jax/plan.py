"""What a sweep is to do, checked before it starts."""

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import jax

from ae_jax.data import Dataset
from ae_jax.engine.check import check
from ae_jax.engine.group import group_trainer, groups, padded_spec, stack
from ae_jax.engine.placement import half_of_memory
from ae_jax.engine.training_loop import OnEpoch, OnParams
from ae_jax.environment import check_devices
from ae_jax.grid import resolve
from ae_jax.metrics import own
from ae_jax.metrics.eval_data import eval_data
from ae_jax.metrics.registry import OWN_GROUPS, metric_groups
from ae_jax.metrics.subset import subset
from ae_jax.store import Store
from ae_jax.trial import Trial
from ae_jax.types import UsageError


@dataclasses.dataclass(frozen=True)
class Plan:
  """A sweep that has been checked and can start.

  Attributes:
    trials: all of the grid.
    dataset: to train on.
    metric_groups: what to measure.
    store: where results go.
    memory_bytes: what a program may take.
    on_epoch: called with trials, epoch and mean terms after each epoch.
    on_params: called with trials, epoch and parameters after each epoch.
  """

  trials: list[Trial]
  dataset: Dataset
  metric_groups: tuple[str, ...]
  store: Store
  memory_bytes: int
  on_epoch: OnEpoch | None = None
  on_params: OnParams | None = None


def checked(
  points: Iterable[Mapping[str, Any]],
  dataset: Dataset,
  metrics: Sequence[str | Callable] | str,
  memory_gb: float | None,
) -> tuple[list[Trial], tuple[str, ...], int]:
  """Trials, metric groups and bytes of memory, checked before any training.

  Raises:
    UsageError: the grid or the data are not usable.
  """
  check_devices()
  if memory_gb is not None and not memory_gb > 0:
    raise UsageError(f"memory_gb must be above 0; got {memory_gb}")
  if dataset.missing:
    points = [{**point, "missing": True} for point in points]
  trials, wanted = resolve(points), metric_groups(metrics)
  memory = half_of_memory() if memory_gb is None else int(memory_gb * 1e9)
  own_columns = {c for name in wanted for c in OWN_GROUPS.get(name, ())}
  check(trials, dataset, memory, own_columns)
  _check_own_metrics(trials, dataset, wanted)
  return trials, wanted, memory


def _check_own_metrics(
  trials: list[Trial], dataset: Dataset, metric_groups: Iterable[str]
) -> None:
  """Raises UsageError where a user's metric does not go with a network."""
  names = [name for name in metric_groups if name in OWN_GROUPS]
  if not names:
    return
  data = subset(eval_data(dataset))
  for group in groups(trials):
    trial = group[0]
    one = group_trainer(group, dataset.train.shape[1:], dataset.num_train)
    keys, hyper = stack([trial])
    params = jax.eval_shape(jax.vmap(one.init), keys, hyper).params
    spec = padded_spec(group, dataset.train.shape[1:])
    for name in names:
      own.check(name, spec, params, data)
      if taken := OWN_GROUPS[name].keys() & trial.settings.keys():
        raise UsageError(
          f"metric {name.partition('@')[0]}: the column {min(taken)!r} is a"
          " setting's"
        )
