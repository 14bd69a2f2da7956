"""One trial as pure functions: init, step, epoch, train.

Nothing here is compiled; `jit`, `vmap` and `grad` are the caller's. What is a
number (learning rate, latent size, strength, ...) is traced and comes in
`hyper`; what changes shapes is closed over.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from ae_jax.data import to_float
from ae_jax.data.supervision import Pairs
from ae_jax.networks import Spec, autoencoder
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
_INIT, _NOISE, _ORDER, _PAIR = range(4)  # what the trial's key is folded with


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

  `hyper` holds `learning_rate` and the objective's own hyper-parameters; what
  it leaves out stays at its default. A `latent_size` in it, which may be
  traced, masks the code of the spec.
  `data` is `[n, *features]`, float32 or uint8 (read as [0, 255] -> [0, 1]), or
  with what an objective needs beside it.

  Attributes:
    model: (hyper) -> the autoencoder that the parameters belong to.
    loss: (params, key, batch, hyper) -> (loss, terms): the objective.
    init: (key, hyper) -> state.
    schedule: (hyper, step) -> hyper, what is scheduled as it is at that step.
    step: (state, batch, hyper) -> (state, terms): one update by Adam; the
      terms of a trial that has diverged are NaN.
    steps: (state, hyper, data, order, num_steps) -> (state, terms): the first
      `num_steps` (traced) of the minibatches whose rows `order` names, `[at
      most, batch]`; each term is `[at most]`, 0 beyond. At most 1 is always
      1. Not differentiable in reverse.
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
    batch_size: examples a step; all of them where there are fewer.
    schedule: (hyper, step) -> hyper at that step, see `schedules.schedule`; they
      do not change by default.
    binarize: whether a step draws its minibatch, `x ~ Bernoulli(x)`.

  Returns:
    The functions, closed over the arguments.

  References:
    Kingma and Ba, "Adam: A Method for Stochastic Optimization", 2015.
  """

  def model(hyper: Hyper) -> Autoencoder:
    return autoencoder(spec, hyper.get("latent_size"))

  def adam(hyper: Hyper) -> optax.GradientTransformation:
    # eps_root keeps gradients through training finite where a moment is 0; it
    # is as small as Adam's own eps.
    return optax.adam(hyper["learning_rate"], eps_root=1e-16)

  def objectives(hyper: Hyper) -> Hyper:
    return {k: v for k, v in hyper.items() if k not in _NOT_THE_OBJECTIVES}

  def loss(
    params: Params, key: Key, batch: Array | Labeled, hyper: Hyper
  ) -> tuple[Array, Terms]:
    x: Any = to_float(examples_of(batch))
    if binarize:
      key, draw_key = jax.random.split(key)
      x = jax.random.bernoulli(draw_key, x).astype(x.dtype)
    if isinstance(batch, Labeled):
      x = batch._replace(x=x)
    return objective(model(hyper), params, key, x, **objectives(hyper))

  def init(key: Key, hyper: Hyper) -> TrainState:
    # At the end of training: what is scheduled has then its value.
    own = {name: hyper[name] for name in objectives(schedule(hyper, 0))}
    params = init_params(
      objective, model(hyper), jax.random.fold_in(key, _INIT), own
    )
    return TrainState(
      key=key,
      step=jnp.zeros((), jnp.int32),
      params=params,
      opt_state=adam(hyper).init(params),
      diverged_at=jnp.full((), -1, jnp.int32),
    )

  def step(
    state: TrainState, batch: Array | Labeled, hyper: Hyper
  ) -> tuple[TrainState, Terms]:
    noise_key = jax.random.fold_in(
      jax.random.fold_in(state.key, _NOISE), state.step
    )
    now = schedule(hyper, state.step)
    (value, terms), grads = jax.value_and_grad(loss, has_aux=True)(
      state.params, noise_key, batch, now
    )
    updates, opt_state = adam(now).update(grads, state.opt_state)
    params = optax.apply_updates(state.params, updates)

    finite = jnp.isfinite(value) & jnp.isfinite(optax.tree.norm(grads))
    alive = finite & (state.diverged_at < 0)
    newly = ~finite & (state.diverged_at < 0)
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
      diverged_at=jnp.where(newly, state.step, state.diverged_at),
    )
    terms = {"loss": value, **terms}
    return state, {k: jnp.where(alive, v, jnp.nan) for k, v in terms.items()}

  def steps(
    state: TrainState,
    hyper: Hyper,
    data: Data,
    order: Array,
    num_steps: Scalar,
  ) -> tuple[TrainState, Terms]:
    def nth(state: TrainState, i: Scalar) -> tuple[TrainState, Terms]:
      return step(state, minibatch(data, order[i], state), hyper)

    def body(
      i: Array, carry: tuple[TrainState, Terms]
    ) -> tuple[TrainState, Terms]:
      state, history = carry
      state, terms = nth(state, i)
      return state, {k: history[k].at[i].set(v) for k, v in terms.items()}

    if len(order) == 1:  # no loop: see program.compile_program
      state, terms = nth(state, 0)
      return state, {k: v[None] for k, v in terms.items()}
    _, terms = jax.eval_shape(nth, state, 0)
    history = {k: jnp.zeros(len(order), v.dtype) for k, v in terms.items()}
    return jax.lax.fori_loop(0, num_steps, body, (state, history))

  def epoch(
    state: TrainState, hyper: Hyper, data: Data
  ) -> tuple[TrainState, Terms]:
    num_examples = len(examples_of(data))
    _, num_steps = batching(num_examples, batch_size)
    order = epoch_order(
      state.key, state.step // num_steps, num_examples, batch_size
    )
    examples = jax.tree.map(jnp.asarray, data)
    state, terms = jax.lax.scan(
      lambda carry, rows: step(carry, minibatch(examples, rows, carry), hyper),
      state,
      order,
    )
    return state, jax.tree.map(lambda term: jnp.mean(term, axis=0), terms)

  def train(key: Key, hyper: Hyper, data: Data) -> tuple[TrainState, Terms]:
    return jax.lax.scan(
      lambda state, _: epoch(state, hyper, data),
      init(key, hyper),
      length=num_epochs,
    )

  return Trainer(model, loss, init, schedule, step, steps, epoch, train)


def init_params(
  objective: Objective, model: Autoencoder, key: Key, hyper: Hyper
) -> Params:
  """The model's parameters, and at "objective" those of an objective's own.

  All floats are float32, also where JAX_ENABLE_X64 is set.

  Args:
    objective: perhaps with some of its hyper-parameters bound.
    model: its network.
    key: consumed.
    hyper: the objective's other hyper-parameters.
  """
  params = model.init(key)
  function: Any = getattr(objective, "func", objective)
  if not hasattr(function, "init"):
    return params
  defaults = function.__kwdefaults__ or {}
  own = {**defaults, **getattr(objective, "keywords", {}), **hyper}
  made = function.init(model, params, jax.random.fold_in(key, 0), **own)
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
  """EvalData `[batch, *features]`, labeled, or pairs `[batch, 2, *features]`.

  Args:
    data: to take them from.
    rows: `[batch]`.
    state: whose key and step draw the partners.
  """
  if not isinstance(data, Pairs):
    return jax.tree.map(lambda field: field[rows], data)
  key = jax.random.fold_in(jax.random.fold_in(state.key, _PAIR), state.step)
  column = jax.random.randint(key, rows.shape, 0, data.partners.shape[1])
  others = data.partners[rows, column]
  return jnp.stack([data.x[rows], data.x[others]], axis=1)


def epoch_order(
  key: Key, epoch: Scalar, num_examples: int, batch_size: int
) -> Array:
  """The minibatches of one epoch, a random order drawn from the trial's key.

  Returns:
    Indices `[steps, batch]`, none twice; what does not fill a batch is left
    out.
  """
  size, num_steps = batching(num_examples, batch_size)
  order = jnp.argsort(order_bits(key, epoch, num_examples), stable=True)
  return order[: num_steps * size].reshape(num_steps, size)


def order_bits(key: Key, epoch: Scalar, num_examples: int) -> Array:
  """Random bits, one uint32 an example; an epoch takes them by rising bits."""
  order_key = jax.random.fold_in(jax.random.fold_in(key, _ORDER), epoch)
  return jax.random.bits(order_key, (num_examples,), jnp.uint32)


def batching(num_examples: int, batch_size: int) -> tuple[int, int]:
  """The size of a batch and the number of them in an epoch."""
  size = min(batch_size, num_examples)
  return size, num_examples // size
