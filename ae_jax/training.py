"""One trial as pure functions: init, step, epoch, train.

Nothing here is compiled: `jit`, `vmap` and `grad` are up to the caller. Numbers
(learning rate, strength, ...) are in `hyper`, maybe traced; the rest is fixed.
"""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from ae_jax import keys
from ae_jax.data import to_float
from ae_jax.data.supervision import Pairs
from ae_jax.epoch_order import batching, epoch_order
from ae_jax.networks import Spec, autoencoder
from ae_jax.optimizers import adam
from ae_jax.schedules import Hyper, Schedule
from ae_jax.types import (
  Array,
  Autoencoder,
  Key,
  Labeled,
  Objective,
  Params,
  Scalar,
  Terms,
)

Data = Array | Labeled | Pairs

_NOT_THE_OBJECTIVES = ("learning_rate", "latent_size")


class TrainState(NamedTuple):
  """What training carries from step to step.

  Attributes:
    key: the trial's key; it drives initialization, noise and data order.
    step: number of steps done, the frozen ones included.
    params: of the model.
    opt_state: of Adam.
    diverged_at: the step (from 0) whose loss or gradient norm, squared as
      Adam's second moment is, was not finite in float32; the parameters are
      those before it and do not change any more. -1: none.
  """

  key: Key
  step: Array
  params: Params
  opt_state: Any
  diverged_at: Array


class Trainer(NamedTuple):
  """One trial as pure functions.

  `hyper` holds `learning_rate` and the objective's hyper-parameters; those that
  it leaves out keep their defaults. A `latent_size` in it, which may be traced,
  masks the code of the spec.
  `data` is `[n, *features]`, float32 or uint8 (read as [0, 255] -> [0, 1]);
  `Labeled` or `Pairs` for an objective that needs labels or pairs.

  Attributes:
    model: (hyper) -> the autoencoder that the parameters belong to.
    loss: (params, key, batch, hyper) -> (loss, terms): the objective.
    init: (key, hyper) -> state.
    schedule: (hyper, step) -> hyper at that step.
    step: (state, batch, hyper) -> (state, terms): one update by Adam; the
      terms of a trial that has diverged are NaN.
    steps: (state, hyper, data, order, num_steps) -> (state, terms): the first
      `num_steps` (traced) of the minibatches whose rows `order` names,
      `[max_steps, batch]`; each term is `[max_steps]`, 0 from `num_steps` on.
      With `max_steps` 1, `num_steps` is not read. Not differentiable in
      reverse.
    epoch: (state, hyper, data) -> (state, terms averaged over the steps): one
      pass in the order of `epoch_order`.
    train: (key, hyper, data) -> (state, history): all epochs; each entry of
      the history is `[num_epochs]`.
  """

  model: Callable[[Hyper], Autoencoder]
  loss: Callable[[Params, Key, Array, Hyper], tuple[Array, Terms]]
  init: Callable[[Key, Hyper], TrainState]
  schedule: Schedule
  step: Callable[[TrainState, Array, Hyper], tuple[TrainState, Terms]]
  steps: Callable[
    [TrainState, Hyper, Data, Array, Scalar], tuple[TrainState, Terms]
  ]
  epoch: Callable[[TrainState, Hyper, Data], tuple[TrainState, Terms]]
  train: Callable[[Key, Hyper, Data], tuple[TrainState, Terms]]


def trainer(
  objective: Objective,
  spec: Spec,
  *,
  num_epochs: int,
  batch_size: int = 128,
  schedule: Schedule = lambda hyper, step: hyper,
  binarize: bool = False,
) -> Trainer:
  """Builds the pure functions that train one autoencoder.

  Args:
    objective: the loss.
    spec: the static shape of the network; `spec.latent_size` is the padded
      size when `hyper["latent_size"]` is traced.
    num_epochs: passes over the data in `train`.
    batch_size: examples per step; all of them if there are fewer.
    schedule: (hyper, step) -> hyper at that step, see
      `schedules.make_schedule`. By default nothing changes.
    binarize: whether each step draws its minibatch, `x ~ Bernoulli(x)`.

  Returns:
    The functions, closed over the arguments.
  """
  f = _TrainerFunctions(
    objective, spec, num_epochs, batch_size, schedule, binarize
  )
  return Trainer(
    f.model, f.loss, f.init, schedule, f.step, f.steps, f.epoch, f.train
  )


_Next = tuple[TrainState, Terms]


@dataclasses.dataclass(frozen=True, eq=False)
class _TrainerFunctions:
  """What the functions of a `Trainer` are closed over."""

  objective: Objective
  spec: Spec
  num_epochs: int
  batch_size: int
  schedule: Schedule
  binarize: bool

  def model(self, hyper: Hyper) -> Autoencoder:
    return autoencoder(self.spec, hyper.get("latent_size"))

  def loss(
    self, params: Params, key: Key, batch: Array | Labeled, hyper: Hyper
  ) -> tuple[Array, Terms]:
    x: Any = to_float(examples_of(batch))
    if self.binarize:
      key, draw_key = jax.random.split(key)
      x = jax.random.bernoulli(draw_key, x).astype(x.dtype)
    if isinstance(batch, Labeled):
      x = batch._replace(x=x)
    return self.objective(
      self.model(hyper), params, key, x, **_of_objective(hyper)
    )

  def init(self, key: Key, hyper: Hyper) -> TrainState:
    # Scheduled hyper-parameters take their final values here.
    names = _of_objective(self.schedule(hyper, 0))
    final = {name: hyper[name] for name in names}
    params = init_params(self.objective, self.model(hyper), key, final)
    return TrainState(
      key=key,
      step=jnp.zeros((), jnp.int32),
      params=params,
      opt_state=adam(hyper).init(params),
      diverged_at=jnp.full((), -1, jnp.int32),
    )

  def step(
    self, state: TrainState, batch: Array | Labeled, hyper: Hyper
  ) -> _Next:
    noise_key = jax.random.fold_in(
      jax.random.fold_in(state.key, keys.NOISE), state.step
    )
    now = self.schedule(hyper, state.step)
    (value, terms), grads = jax.value_and_grad(self.loss, has_aux=True)(
      state.params, noise_key, batch, now
    )
    updates, opt_state = adam(now).update(grads, state.opt_state)
    params = optax.apply_updates(state.params, updates)

    finite = jnp.isfinite(value) & jnp.isfinite(optax.tree.norm(grads))
    was_alive = state.diverged_at < 0
    alive = finite & was_alive
    params, opt_state = jax.tree.map(
      lambda new, old: jnp.where(alive, new, old),
      (params, opt_state),
      (state.params, state.opt_state),
    )
    state = TrainState(
      key=state.key,
      step=state.step + 1,
      params=params,
      opt_state=opt_state,
      diverged_at=jnp.where(~finite & was_alive, state.step, state.diverged_at),
    )
    terms = {"loss": value, **terms}
    return state, {k: jnp.where(alive, v, jnp.nan) for k, v in terms.items()}

  def steps(
    self,
    state: TrainState,
    hyper: Hyper,
    data: Data,
    order: Array,
    num_steps: Scalar,
  ) -> _Next:
    def nth(state: TrainState, i: Scalar) -> _Next:
      return self.step(state, minibatch(data, order[i], state), hyper)

    def body(i: Array, carry: _Next) -> _Next:
      state, history = carry
      state, terms = nth(state, i)
      return state, {k: history[k].at[i].set(v) for k, v in terms.items()}

    if len(order) == 1:  # no loop: see program.compile_program
      state, terms = nth(state, 0)
      return state, {k: v[None] for k, v in terms.items()}
    _, terms = jax.eval_shape(nth, state, 0)
    history = {k: jnp.zeros(len(order), v.dtype) for k, v in terms.items()}
    return jax.lax.fori_loop(0, num_steps, body, (state, history))

  def epoch(self, state: TrainState, hyper: Hyper, data: Data) -> _Next:
    num_examples = len(examples_of(data))
    _, num_steps = batching(num_examples, self.batch_size)
    order = epoch_order(
      state.key, state.step // num_steps, num_examples, self.batch_size
    )
    examples = jax.tree.map(jnp.asarray, data)

    def body(state: TrainState, rows: Any) -> _Next:
      return self.step(state, minibatch(examples, rows, state), hyper)

    state, terms = jax.lax.scan(body, state, order)
    return state, jax.tree.map(lambda term: jnp.mean(term, axis=0), terms)

  def train(self, key: Key, hyper: Hyper, data: Data) -> _Next:
    state = self.init(key, hyper)
    return jax.lax.scan(
      lambda state, _: self.epoch(state, hyper, data),
      state,
      None,
      self.num_epochs,
    )


def _of_objective(hyper: Hyper) -> Hyper:
  """The hyper-parameters that the objective takes."""
  return {k: v for k, v in hyper.items() if k not in _NOT_THE_OBJECTIVES}


def init_params(
  objective: Objective, model: Autoencoder, key: Key, hyper: Hyper
) -> Params:
  """The model's parameters, with those of the objective at "objective".

  All floats are float32, also where JAX_ENABLE_X64 is set.

  Args:
    objective: some of its hyper-parameters may be bound.
    model: its network.
    key: of the trial, not consumed.
    hyper: the objective's other hyper-parameters.

  Raises:
    TypeError: the objective's function for its parameters returns no dict.
  """
  params = model.init(jax.random.fold_in(key, keys.INIT))
  function: Any = getattr(objective, "func", objective)
  if not hasattr(function, "init"):
    return params
  defaults = function.__kwdefaults__ or {}
  hyper = {**defaults, **getattr(objective, "keywords", {}), **hyper}
  objective_key = jax.random.fold_in(key, keys.OBJECTIVE)
  made = function.init(model, params, objective_key, **hyper)
  if not isinstance(made, dict):
    raise TypeError(f"needs_params wants a dict, got {type(made).__name__}")
  return params | {
    "objective": jax.tree.map(
      lambda p: (
        jnp.asarray(p, jnp.float32)
        if jnp.issubdtype(jnp.result_type(p), jnp.floating)
        else p
      ),
      made,
    )
  }


def examples_of(data: Data | np.ndarray) -> Any:
  """The examples alone."""
  return data.x if isinstance(data, Labeled | Pairs) else data


def minibatch(data: Data, rows: Array, state: TrainState) -> Array | Labeled:
  """Examples `[batch, *features]`, `Labeled`, or pairs `[batch, 2, *features]`.

  `rows` is `[batch]`; the key and step of `state` draw the partners of pairs.
  """
  if not isinstance(data, Pairs):
    return jax.tree.map(lambda field: field[rows], data)
  key = jax.random.fold_in(jax.random.fold_in(state.key, keys.PAIR), state.step)
  column = jax.random.randint(key, rows.shape, 0, data.partners.shape[1])
  others = data.partners[rows, column]
  return jnp.stack([data.x[rows], data.x[others]], axis=1)
