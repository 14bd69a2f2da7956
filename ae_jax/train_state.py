"""The types of training: its state, and its functions."""

from collections.abc import Callable
from typing import Any, NamedTuple

from ae_jax.early_stopping import BestEpoch
from ae_jax.minibatch import Data
from ae_jax.schedules import Hyper, Schedule
from ae_jax.types import Array, Autoencoder, Key, Params, Scalar, Terms


class TrainState(NamedTuple):
  """What training carries from step to step.

  Attributes:
    key: the trial's key; it drives initialization, noise and data order.
    step: number of steps done, the frozen ones included.
    params: of the model, see `parameters`.
    opt_state: of the optimizer.
    diverged_at: the step (from 0) whose loss or gradient norm, squared as
      Adam's second moment is, was not finite in float32; the parameters are
      those before it and do not change any more. -1: none.
    best: the best epoch so far; None where no validation loss is taken.
  """

  key: Key
  step: Array
  params: Params
  opt_state: Any
  diverged_at: Array
  best: BestEpoch | None = None

  @property
  def trains(self) -> Array:
    """Whether the trial has neither diverged nor stopped."""
    trains = self.diverged_at < 0
    return trains if self.best is None else trains & (self.best.stopped == 0)


class Trainer(NamedTuple):
  """One trial as pure functions.

  `hyper` holds `learning_rate` and the hyper-parameters of objective,
  optimizer, network and likelihood that are floats; those that it leaves out
  keep their defaults. A `latent_size` in it, which may be traced, masks the
  code of the spec; a `clip_norm` is the largest norm of a gradient.
  `data` is `[n, *features]`, float32 or uint8 (read as [0, 255] -> [0, 1]);
  `Labeled` or `Pairs` for an objective that needs labels or pairs.

  Attributes:
    model: (hyper) -> the autoencoder that the parameters belong to.
    loss: (params, key, batch, hyper, network_key=None) -> (loss, terms, state):
      the objective and its next state, `{}` where it has none. The network has
      noise where there is a key for it.
    init: (key, hyper) -> state.
    schedule: (hyper, step) -> hyper at that step.
    step: (state, batch, hyper) -> (state, terms): one update; the terms of a
      trial that has diverged are NaN.
    steps: (state, hyper, data, order, num_steps) -> (state, terms): the first
      `num_steps` (traced) of the minibatches whose rows `order` names,
      `[max_steps, batch]`; each term is `[max_steps]`, 0 from `num_steps` on.
      With `max_steps` 1, `num_steps` is not read. Not differentiable in
      reverse.
    epoch: (state, hyper, data) -> (state, terms averaged over the steps): one
      pass in the order of `epoch_order`.
    validate: (state, hyper, data) -> (state, loss): the loss on validation
      data, and what follows from it, see `early_stopping`; after each epoch.
      Hyper-parameters that are scheduled are at their last value, so that
      epochs compare; the network has no noise, an objective the same in each
      epoch.
    train: (key, hyper, data, validation=None) -> (state, history): all epochs;
      each entry of the history is `[num_epochs]`.
  """

  model: Callable[[Hyper], Autoencoder]
  loss: Callable[..., tuple[Array, Terms, Params]]
  init: Callable[[Key, Hyper], TrainState]
  schedule: Schedule
  step: Callable[[TrainState, Array, Hyper], tuple[TrainState, Terms]]
  steps: Callable[
    [TrainState, Hyper, Data, Array, Scalar], tuple[TrainState, Terms]
  ]
  epoch: Callable[[TrainState, Hyper, Data], tuple[TrainState, Terms]]
  validate: Callable[[TrainState, Hyper, Data], tuple[TrainState, Array]]
  train: Callable[..., tuple[TrainState, Terms]]
