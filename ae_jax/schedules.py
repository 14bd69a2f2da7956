"""Numbers that change while a trial trains, as functions of the step.

`t` is the share of the steps that are done, in [0, 1).
"""

from collections.abc import Callable, Mapping
from typing import Any

import jax.numpy as jnp

from ae_jax.types import Array, Scalar

Hyper = Mapping[str, Scalar]
# Hyper-parameters of a trial -> what they are at a step.
Schedule = Callable[[Hyper, Scalar], Hyper]

# Factors of the learning rate, by t.
LEARNING_RATE_SCHEDULES: dict[str, Callable[[Scalar], Scalar]] = {
  "constant": lambda t: 1.0,
  "linear": lambda t: 1.0 - t,
  "cosine": lambda t: 0.5 * (1 + jnp.cos(jnp.pi * t)),
}


def linear(t: Scalar, over: Scalar) -> Array:
  """Rises from 0 to 1 while t rises to `over`, then stays."""
  return jnp.minimum(t / over, 1.0)


def cosine(t: Scalar, over: Scalar) -> Array:
  """Half a wave of the cosine from 0 to 1, then stays."""
  return 0.5 * (1 - jnp.cos(jnp.pi * linear(t, over)))


def cyclic(t: Scalar, over: Scalar) -> Array:
  """Periods of length `over`, each half a linear rise and half at 1.

  References:
    Fu et al., "Cyclical Annealing Schedule", 2019, eq. 6 and 7, R = 0.5.
  """
  return jnp.minimum(2 * jnp.mod(t / over, 1.0), 1.0)


# How a scheduled hyper-parameter goes from its start to its value.
ANNEALING: dict[str, Callable[[Scalar, Scalar], Array]] = {
  "linear": linear,
  "cosine": cosine,
  "cyclic": cyclic,
}


def settings_of(name: str) -> dict[str, Any]:
  """The settings that schedule a hyper-parameter, with their defaults.

  `beta_schedule` is how beta goes to its value: a name in `ANNEALING`;
  `beta_start` where from, `beta_over` within which share of the steps.
  """
  return {
    f"{name}_schedule": "linear",
    f"{name}_start": 0.0,
    f"{name}_over": 0.5,
  }


def make_schedule(
  factor: str, ramps: Mapping[str, str], num_steps: int
) -> Schedule:
  """What the hyper-parameters of a trial are at a step.

  Args:
    factor: of the learning rate, a name in `LEARNING_RATE_SCHEDULES`.
    ramps: hyper-parameter -> a name in `ANNEALING`.
    num_steps: of the whole training.

  Returns:
    (hyper, step) -> hyper, of the hyper-parameters alone: where they start and
    over which share of the steps they rise is in the one that goes in.
  """

  def hyper_at(hyper: Hyper, step: Scalar) -> Hyper:
    t = step / num_steps
    now = dict(hyper)
    for name, ramp in ramps.items():
      start, over = now.pop(f"{name}_start"), now.pop(f"{name}_over")
      now[name] = start + (hyper[name] - start) * ANNEALING[ramp](t, over)
    return now | {
      "learning_rate": now["learning_rate"] * LEARNING_RATE_SCHEDULES[factor](t)
    }

  return hyper_at
