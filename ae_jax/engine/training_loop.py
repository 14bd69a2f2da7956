"""The training loop: a program is called until its trials are trained.

Between two calls everything that training goes on from is a `Snapshot`.
"""

import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from ae_jax.early_stopping import kept
from ae_jax.engine.group import stack
from ae_jax.engine.input_pipeline import InputPipeline
from ae_jax.engine.program import Program
from ae_jax.networks import Spec
from ae_jax.settings import Point
from ae_jax.sharding import replicate
from ae_jax.train_state import TrainState
from ae_jax.trial import Trial
from ae_jax.types import Params

OnEpoch = Callable[[list[Trial], int, dict[str, np.ndarray]], None]
OnParams = Callable[[list[Trial], int, Params], None]

_CALL_SECONDS = 1.0  # what a call of a program is to take


class TrainedGroup(NamedTuple):
  """Trials of one group, trained.

  Attributes:
    ids: of the trials, in the order of the leading axis of all that follows.
    settings: of each trial.
    spec: of the network, its code padded to the largest of the group.
    params: `[trials, ...]`, padded.
    history: term -> `[trials, num_epochs]`, means over each epoch.
    diverged_at: `[trials]`, the step from 0; -1: none.
    num_steps: of each trial.
    seconds: of training, without compilation, all trials together.
    best_epoch: `[trials]`, of the least validation loss, from 1; None where no
      epoch was judged.
    stopped_epoch: `[trials]`, the last one, from 1; 0: all; or None.
  """

  ids: list[str]
  settings: list[Point]
  spec: Spec
  params: Params
  history: dict[str, np.ndarray]
  diverged_at: np.ndarray
  num_steps: int
  seconds: float
  best_epoch: np.ndarray | None = None
  stopped_epoch: np.ndarray | None = None

  @property
  def latent_sizes(self) -> list[int]:
    """Of each trial."""
    return [settings["latent_size"] for settings in self.settings]

  def select(self, indices: Sequence[int]) -> "TrainedGroup":
    """Some of the trials."""
    at = list(indices)
    return self._replace(
      ids=[self.ids[i] for i in at],
      settings=[self.settings[i] for i in at],
      params=jax.tree.map(lambda p: p[at], self.params),
      history={name: term[at] for name, term in self.history.items()},
      diverged_at=self.diverged_at[at],
      best_epoch=None if self.best_epoch is None else self.best_epoch[at],
      stopped_epoch=(
        None if self.stopped_epoch is None else self.stopped_epoch[at]
      ),
      seconds=self.seconds * len(at) / len(self.ids),
    )


class Snapshot(NamedTuple):
  """Where a training loop is, in host memory.

  Attributes:
    num_done: steps.
    state: the leaves of the state, `[size, ...]`; keys as their numbers.
    history: term -> `[trials, epochs]`, means over the epochs that are over.
    rest: term -> `[trials, steps]`, of the epoch that is not.
    seconds: of training until here.
  """

  num_done: int
  state: list[np.ndarray]
  history: dict[str, np.ndarray]
  rest: dict[str, np.ndarray]
  seconds: float


class TrainingLoop:
  """Trials in training.

  Attributes:
    program: that trains them.
    trials: at most as many as it has places.
    num_done: steps so far.
    history: term -> `[trials, epochs]`, means over the epochs that are over.

  Raises:
    ValueError: a snapshot is not of this program.
  """

  def __init__(
    self,
    program: Program,
    trials: Sequence[Trial],
    pipeline: InputPipeline,
    snapshot: Snapshot | None = None,
  ):
    begin = time.perf_counter()
    # Repeats of the last trial fill the program up; their results are dropped.
    size = program.placement.size
    filled = [*trials] + [trials[-1]] * (size - len(trials))
    of_trials = [trial.settings["seed"] for trial in filled]
    seeds = [*dict.fromkeys(of_trials)]
    self._which = np.array([seeds.index(s) for s in of_trials], np.int32)
    seeds += seeds[-1:] * (program.num_seeds - len(seeds))
    keys, self._hyper = stack(filled)
    self._state = program.init(keys, self._hyper)
    self._pace = 1.0
    self.program = program
    self.trials = trials
    self.num_done = 0
    self.history: dict[str, np.ndarray] = {}
    self._rest: dict[str, np.ndarray] = {}
    self._begin = begin
    if snapshot is not None:
      self._state = _restored(snapshot.state, self._state)
      self.num_done = snapshot.num_done
      self.history, self._rest = dict(snapshot.history), dict(snapshot.rest)
      self._begin -= snapshot.seconds
    self._validation = None
    self._has_stopped = False
    if program.validate is not None:
      self._validation = jax.tree.map(
        lambda x: replicate(x, program.placement.devices), pipeline.validation
      )
    self._read = pipeline.reader(
      seeds, program.batch_size, program.placement.devices, self.num_done
    )

  @property
  def num_steps(self) -> int:
    """Of the whole training."""
    return self.program.num_epochs * self.program.steps_per_epoch

  @property
  def is_over(self) -> bool:
    """Whether all steps are done, or all trials have stopped."""
    if self.num_done >= self.num_steps:
      return True
    return self._has_stopped

  @property
  def seconds(self) -> float:
    """Of training so far, those before a snapshot included."""
    return time.perf_counter() - self._begin

  def advance(self, most: int) -> None:
    """Does some steps, at most so many: about a second of them."""
    program = self.program
    if program.validate is not None:  # at the end of each epoch
      per_epoch = program.steps_per_epoch
      most = min(most, per_epoch - self.num_done % per_epoch)
    count = max(1, min(int(self._pace), program.max_steps, most))
    begin = time.perf_counter()
    rows, orders = self._read(count)
    padding = ((0, 0), (0, program.max_steps - count), (0, 0))
    self._state, terms = program.steps(
      self._state,
      self._hyper,
      self._which,
      rows,
      np.pad(orders, padding),
      np.int32(count),
    )
    done = {
      name: np.asarray(term)[: len(self.trials), :count]
      for name, term in terms.items()
    }
    rate = count / (time.perf_counter() - begin)
    self._pace = min(_CALL_SECONDS * rate, 8.0 * count)
    self.num_done += count
    for name, term in done.items():
      self._add(name, term)
    if program.validate and self.num_done % program.steps_per_epoch == 0:
      self._validate()

  def _validate(self) -> None:
    """Judges the epoch that is over."""
    assert self.program.validate is not None
    self._state, losses = self.program.validate(
      self._state, self._hyper, self._validation
    )
    loss = np.asarray(losses, np.float32)[: len(self.trials), None]
    self._has_stopped = bool(np.all(self._best().stopped > 0))
    before = self.history.get("validation_loss", loss[:, :0])
    self.history["validation_loss"] = np.concatenate([before, loss], axis=1)

  def _best(self) -> Any:
    """The best epochs of the trials, without parameters."""
    assert self._state.best is not None
    best = self._state.best._replace(params={})
    return jax.tree.map(lambda x: np.asarray(x)[: len(self.trials)], best)

  @property
  def params(self) -> Params:
    """Of the trials, `[trials, ...]`, padded; in host memory."""
    return jax.tree.map(
      lambda x: np.array(x)[: len(self.trials)], self._state.params
    )

  def snapshot(self) -> Snapshot:
    """Where the training is."""
    return Snapshot(
      self.num_done,
      [*map(np.array, jax.tree.leaves(_with_numbers(self._state)))],
      dict(self.history),
      dict(self._rest),
      self.seconds,
    )

  def result(self) -> TrainedGroup:
    """What was trained."""
    state = self._state
    params, diverged_at = jax.tree.map(
      lambda x: np.asarray(x)[: len(self.trials)],
      (jax.vmap(kept)(state.best, state.params), state.diverged_at),
    )
    best = None if self._state.best is None else self._best()
    names = sorted(self.history, key=lambda name: (name != "loss", name))
    return TrainedGroup(
      ids=[trial.id for trial in self.trials],
      settings=[trial.settings for trial in self.trials],
      spec=self.program.spec,
      params=params,
      history={name: self._of_all_epochs(name) for name in names},
      diverged_at=diverged_at,
      best_epoch=best and best.epoch,
      stopped_epoch=best and best.stopped,
      num_steps=self.num_steps,
      seconds=self.seconds,
    )

  def _of_all_epochs(self, name: str) -> np.ndarray:
    """A term, NaN in epochs that no trial took any more."""
    term = self.history[name]
    missing = self.program.num_epochs - term.shape[1]
    return np.pad(term, ((0, 0), (0, missing)), constant_values=np.nan)

  def _add(self, name: str, term: np.ndarray) -> None:
    """Adds steps of a term, `[trials, steps]`, and means of whole epochs."""
    if name in self._rest:
      term = np.concatenate([self._rest[name], term], axis=1)
    steps = self.program.steps_per_epoch
    num_epochs = term.shape[1] // steps
    epochs = term[:, : num_epochs * steps].reshape(len(term), num_epochs, steps)
    means = epochs.mean(axis=2, dtype=np.float64).astype(np.float32)
    if name in self.history:
      means = np.concatenate([self.history[name], means], axis=1)
    self.history[name] = means
    self._rest[name] = term[:, num_epochs * steps :]


OnAdvance = Callable[[TrainingLoop], None]


def train(
  program: Program,
  trials: list[Trial],
  pipeline: InputPipeline,
  on_epoch: OnEpoch | None = None,
  on_advance: OnAdvance | None = None,
  snapshot: Snapshot | None = None,
  on_params: OnParams | None = None,
) -> TrainedGroup:
  """Trains up to `program.placement.size` trials of its group.

  Args:
    program: of the group.
    trials: some of the group.
    pipeline: the train set.
    on_epoch: called with trials, epoch and mean terms after each epoch.
    on_advance: called after each call of the program, about every second.
    snapshot: where these trials go on in this program; from the start without.
    on_params: called with trials, epoch and their parameters after each epoch.
  """
  loop = TrainingLoop(program, trials, pipeline, snapshot)
  while not loop.is_over:
    before, done = divmod(loop.num_done, program.steps_per_epoch)
    left = loop.num_steps - loop.num_done
    if on_params is not None:
      left = program.steps_per_epoch - done
    loop.advance(left)
    if on_epoch is not None:
      for epoch in range(before, loop.num_done // program.steps_per_epoch):
        terms = {name: term[:, epoch] for name, term in loop.history.items()}
        on_epoch(trials, epoch + 1, terms)
    if on_params is not None and loop.num_done % program.steps_per_epoch == 0:
      on_params(trials, before + 1, loop.params)
    if on_advance is not None:
      on_advance(loop)
  return loop.result()


def _with_numbers(state: TrainState) -> TrainState:
  return state._replace(key=jax.random.key_data(state.key))


def _restored(saved: list[np.ndarray], like: TrainState) -> TrainState:
  """A state of saved leaves, placed as another state of the program."""
  leaves, structure = jax.tree.flatten(_with_numbers(like))
  if _shapes(saved) != _shapes(leaves):
    raise ValueError("the snapshot is of another program")
  placed = [
    jax.device_put(x, leaf.sharding, may_alias=False)
    for x, leaf in zip(saved, leaves, strict=True)
  ]
  state = jax.tree.unflatten(structure, placed)
  return state._replace(key=jax.random.wrap_key_data(state.key))


def _shapes(leaves: Sequence[Any]) -> list[tuple[Any, Any]]:
  return [(x.shape, x.dtype) for x in leaves]
