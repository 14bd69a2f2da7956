"""One trial as pure functions: init, step, epoch, train.

Nothing here is compiled: `jit`, `vmap` and `grad` are up to the caller. Numbers
(learning rate, strength, ...) are in `hyper`, maybe traced; the rest is fixed.
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import optax

from ae_jax import keys
from ae_jax.data import to_float
from ae_jax.declarations import keyword_only, of_objective
from ae_jax.early_stopping import (
  EarlyStopping,
  after_epoch,
  kept,
  start,
  validation_loss,
)
from ae_jax.epoch_order import batching, epoch_order
from ae_jax.minibatch import DRAWS, Data, examples_of, minibatch
from ae_jax.networks import Spec, autoencoder
from ae_jax.optimizers import Optimizer, adam, clipped
from ae_jax.parameters import (
  are_finite,
  arguments,
  check_same,
  init_params,
  split,
  with_numbers,
)
from ae_jax.schedules import Hyper, Schedule
from ae_jax.train_state import Trainer, TrainState
from ae_jax.types import (
  Array,
  Autoencoder,
  Key,
  Labeled,
  Objective,
  Params,
  Scalar,
  Terms,
  UsageError,
)


def trainer(
  objective: Objective,
  spec: Spec,
  *,
  num_epochs: int,
  batch_size: int = 128,
  schedule: Schedule = lambda hyper, step: hyper,
  draw: str = "",
  optimizer: Optimizer = adam,
  stopping: EarlyStopping | None = None,
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
    draw: a name in `minibatch.DRAWS`, by which each step draws its minibatch;
      "": it takes the data as they are.
    optimizer: (learning_rate, **hyper) -> an optax transformation.
    stopping: whether and how epochs are judged by a validation loss.

  Returns:
    The functions, closed over the arguments.
  """
  f = _TrainerFunctions(
    objective,
    spec,
    num_epochs,
    batch_size,
    schedule,
    draw,
    optimizer,
    stopping,
  )
  return Trainer(
    f.model,
    f.loss,
    f.init,
    schedule,
    f.step,
    f.steps,
    f.epoch,
    f.validate,
    f.train,
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
  draw: str
  optimizer: Optimizer
  stopping: EarlyStopping | None

  def model(self, hyper: Hyper, key: Key | None = None) -> Autoencoder:
    return autoencoder(self.spec, hyper.get("latent_size"), hyper, key)

  def loss(
    self,
    params: Params,
    key: Key,
    batch: Array | Labeled,
    hyper: Hyper,
    network_key: Key | None = None,
  ) -> tuple[Array, Terms, Params]:
    key, seen = self.seen(key, batch)
    result = self.objective(
      self.model(hyper, network_key),
      params,
      key,
      seen,
      **arguments(self.objective, hyper),
    )
    has_state = of_objective(self.objective).state is not None
    wanted = ("loss", "terms", "next state")[: 3 if has_state else 2]
    if not isinstance(result, tuple) or len(result) != len(wanted):
      raise UsageError(
        f"an objective {'with' if has_state else 'without'} state must return"
        f" ({', '.join(wanted)})"
      )
    return result if has_state else (*result, {})

  def seen(self, key: Key, batch: Array | Labeled) -> tuple[Key, Any]:
    """The batch as the objective sees it, and the key for the rest."""
    x: Any = to_float(examples_of(batch))
    if self.draw:
      key, draw_key = jax.random.split(key)
      x = DRAWS[self.draw](draw_key, x)
    return key, batch._replace(x=x) if isinstance(batch, Labeled) else x

  def init(self, key: Key, hyper: Hyper) -> TrainState:
    # Scheduled hyper-parameters take their final values here.
    final = {name: hyper[name] for name in self.schedule(hyper, 0)}
    params = init_params(self.objective, self.model(final), key, final)
    params = with_numbers(params, self.spec, final)
    return TrainState(
      key=key,
      step=jnp.zeros((), jnp.int32),
      params=params,
      opt_state=self.transformation(hyper).init(split(params)[0]),
      diverged_at=jnp.full((), -1, jnp.int32),
      best=self.stopping and start(params, self.stopping.keep_best),
    )

  def transformation(self, hyper: Hyper) -> optax.GradientTransformation:
    names = keyword_only(getattr(self.optimizer, "func", self.optimizer))
    own = {k: v for k, v in hyper.items() if k in names}
    transformation = self.optimizer(hyper["learning_rate"], **own)
    if not hasattr(transformation, "update"):
      raise UsageError(
        "an optimizer must return an optax.GradientTransformation; it returns"
        f" {type(transformation).__name__}"
      )
    if "clip_norm" in hyper:
      return clipped(transformation, hyper["clip_norm"])
    return transformation

  def step(
    self, state: TrainState, batch: Array | Labeled, hyper: Hyper
  ) -> _Next:
    now = self.schedule(hyper, state.step)
    noise_key, network_key, update_key = (
      jax.random.fold_in(jax.random.fold_in(state.key, use), state.step)
      for use in (keys.NOISE, keys.NETWORK, keys.UPDATE)
    )
    trained, carried = split(state.params)

    def loss(trained: Params) -> tuple[Array, tuple[Terms, Params]]:
      value, terms, next_state = self.loss(
        trained | carried, noise_key, batch, now, network_key
      )
      return value, (terms, next_state)

    (value, (terms, next_state)), grads = jax.value_and_grad(
      loss, has_aux=True
    )(trained)
    updates, opt_state = self.transformation(now).update(
      grads, state.opt_state, trained
    )
    params = optax.apply_updates(trained, updates) | carried
    if "state" in carried:
      params |= {"state": next_state}
    params = self.hooked(params, (update_key, noise_key), batch, now)

    check_same((state.params, state.opt_state), (params, opt_state))
    finite = jnp.isfinite(value) & jnp.isfinite(optax.tree.norm(grads))
    if of_objective(self.objective).after_update or "state" in carried:
      finite &= are_finite(params)
    alive = finite & state.trains
    params, opt_state = jax.tree.map(
      lambda new, old: jnp.where(alive, new, old),
      (params, opt_state),
      (state.params, state.opt_state),
    )
    diverges = ~finite & state.trains
    state = state._replace(
      step=state.step + 1,
      params=params,
      opt_state=opt_state,
      diverged_at=jnp.where(diverges, state.step, state.diverged_at),
    )
    terms = {"loss": value, **terms}
    return state, {k: jnp.where(alive, v, jnp.nan) for k, v in terms.items()}

  def hooked(
    self,
    params: Params,
    own_and_noise_keys: tuple[Key, Key],
    batch: Array | Labeled,
    hyper: Hyper,
  ) -> Params:
    """The parameters after the objective's hook, if it declares one."""
    hook = of_objective(self.objective).after_update
    if hook is None:
      return params
    key, noise_key = own_and_noise_keys
    _, seen = self.seen(noise_key, batch)  # as the objective saw it
    own = arguments(self.objective, hyper)
    return hook(self.model(hyper), params, key, seen, **own)

  def steps(
    self,
    state: TrainState,
    hyper: Hyper,
    data: Data,
    order: Array,
    num_steps: Scalar,
  ) -> _Next:
    def nth(state: TrainState, i: Scalar) -> _Next:
      return self.step(
        state, minibatch(data, order[i], state.key, state.step), hyper
      )

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
      return self.step(
        state, minibatch(examples, rows, state.key, state.step), hyper
      )

    state, terms = jax.lax.scan(body, state, order)
    return state, jax.tree.map(lambda term: jnp.mean(term, axis=0), terms)

  def validate(
    self, state: TrainState, hyper: Hyper, data: Data
  ) -> tuple[TrainState, Array]:
    assert self.stopping is not None
    assert state.best is not None
    final = {name: hyper[name] for name in self.schedule(hyper, 0)}
    loss = validation_loss(
      lambda key, batch: self.loss(state.params, key, batch, final)[0],
      state.key,
      data,
      self.batch_size,
    )
    best = after_epoch(state.best, state.params, loss, self.stopping.patience)
    loss = jnp.where(state.trains, loss, jnp.nan)
    return state._replace(best=best), loss

  def train(
    self, key: Key, hyper: Hyper, data: Data, validation: Data | None = None
  ) -> _Next:
    def epoch(state: TrainState, _: None) -> _Next:
      state, terms = self.epoch(state, hyper, data)
      if self.stopping is None:
        return state, terms
      if validation is None:
        raise UsageError("early stopping needs validation data")
      state, loss = self.validate(state, hyper, validation)
      return state, terms | {"validation_loss": loss}

    state, history = jax.lax.scan(
      epoch, self.init(key, hyper), None, self.num_epochs
    )
    return state._replace(params=kept(state.best, state.params)), history
