"""Measures trained trials, and keeps their rows."""

import dataclasses
import functools
import time
from collections.abc import Collection, Mapping

from ae_jax.data import Dataset
from ae_jax.engine.training_loop import TrainedGroup
from ae_jax.metrics.baselines import Baselines, baselines
from ae_jax.metrics.eval_data import EvalData, eval_data
from ae_jax.metrics.evaluate import evaluate as evaluate_group
from ae_jax.metrics.subset import subset
from ae_jax.progress import Progress
from ae_jax.rows import lacks, trial_rows, with_metrics
from ae_jax.store import Store


@dataclasses.dataclass
class Cost:
  """What a sweep has spent: images trained on, seconds by what they went to.

  Attributes:
    num_trained: trials.
    images: that they were trained on.
    preparing: seconds of compiling programs and trying placements.
    training: seconds.
    measuring: metric group -> seconds.
  """

  num_trained: int = 0
  images: int = 0
  preparing: float = 0.0
  training: float = 0.0
  measuring: dict[str, float] = dataclasses.field(default_factory=dict)

  def add_measuring(self, seconds: Mapping[str, float]) -> None:
    """Adds seconds of some metric groups."""
    for name, taken in seconds.items():
      self.measuring[name] = self.measuring.get(name, 0.0) + taken


class Evaluator:
  """Measures what the rows of trained trials do not have yet.

  Attributes:
    cost: what it took.
  """

  def __init__(
    self,
    store: Store,
    dataset: Dataset,
    metric_groups: tuple[str, ...],
    latent_sizes: Collection[int],
    progress: Progress,
    on_all: bool = False,
  ):
    """Measures the trials of a store.

    Args:
      store: has the rows, and gets them.
      dataset: to measure on.
      metric_groups: what to measure.
      latent_sizes: of all trials of the run, so that a resumed run has the
        same baselines, bit by bit.
      progress: shows what is being measured.
      on_all: whether every metric is measured on all examples, see
        `metrics.subset`.
    """
    self.cost = Cost()
    self._store, self._dataset = store, dataset
    self._groups, self._sizes = metric_groups, {*latent_sizes}
    self._progress = progress
    self._on_all = on_all
    self._baselines: dict[tuple[str, ...], Baselines] = {}

  @functools.cached_property
  def data(self) -> EvalData:
    """The dataset on the device, placed there once."""
    return eval_data(self._dataset, max(self._sizes, default=0))

  @functools.cached_property
  def few(self) -> EvalData:
    """What most metrics are measured on."""
    return self.data if self._on_all else subset(self.data)

  def measure_stored(self, trial_ids: Collection[str]) -> None:
    """Measures trials that were trained before."""
    for trained in self._store.load_groups(trial_ids):
      num_epochs = trained.settings[0]["num_epochs"]
      self._progress.say(f"{len(trained.ids)} trials were trained before")
      self._progress.skip(len(trained.ids), num_epochs, num_epochs)
      self.measure(trained)

  def measure(self, trained: TrainedGroup) -> None:
    """Measures trained trials."""
    stored = self._store.rows(trained.ids)
    rows = [
      new if old is None else new | old
      for new, old in zip(trial_rows(trained), stored, strict=True)
    ]
    missing = tuple(
      group
      for group in self._groups
      if any(lacks(row, group, self._on_all) for row in rows)
    )
    measured_before = [g for g in self._groups if g not in missing]
    self._progress.skip_metrics(measured_before, len(trained.ids))
    references = self._baselines_of(missing)
    measured = evaluate_group(
      trained.spec,
      trained.params,
      trained.latent_sizes,
      self.data,
      missing,
      self._progress.on_metrics,
      self.few,
    )
    self.cost.add_measuring(measured.seconds)
    is_part = self.few is not self.data
    rows = with_metrics(rows, trained, measured, references, missing, is_part)
    self._store.keep_rows(trained, rows, measured.units)

  def _baselines_of(self, metric_groups: tuple[str, ...]) -> Baselines:
    if metric_groups not in self._baselines:
      begin = time.perf_counter()
      self._progress.doing("measuring PCA and the data")
      found = baselines(self.data, self._sizes, metric_groups, self.few)
      self._baselines[metric_groups] = found
      self._progress.did_once()
      taken = time.perf_counter() - begin
      self.cost.add_measuring({"PCA and data": taken})
    return self._baselines[metric_groups]
