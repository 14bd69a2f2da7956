"""Optimizers: (learning_rate, **hyper) -> an optax transformation.

The learning rate and the floats may be traced. All here work on each number of
the parameters alone, or on their norm: the padding of a masked code, whose
gradient is 0, changes nothing.
"""

import inspect
import math
from collections.abc import Callable
from typing import Any

import optax

from ae_jax.declarations import Ranges, optimizer
from ae_jax.types import Scalar

Optimizer = Callable[..., optax.GradientTransformation]

_SHARE = (0.0, 1.0)
_RANGES: Ranges = {
  "b1": _SHARE,
  "b2": _SHARE,
  "b3": _SHARE,
  "decay": _SHARE,
  "momentum": _SHARE,
  "weight_decay": (0.0, math.inf),
  "eps": (0.0, math.inf),
}


def _ranges(*names: str) -> Ranges:
  return {name: _RANGES[name] for name in names if name in _RANGES}


@optimizer(ranges=_ranges("b1", "b2"))
def adam(
  learning_rate: Scalar, *, b1: float = 0.9, b2: float = 0.999
) -> optax.GradientTransformation:
  """Adam.

  Args:
    learning_rate: alpha.
    b1: decay of the first moment, in [0, 1).
    b2: decay of the second moment, in [0, 1).

  References:
    Kingma and Ba, "Adam: A Method for Stochastic Optimization", 2015.
  """
  # eps_root keeps gradients through training finite where a moment is 0; it
  # is as small as Adam's own eps.
  return optax.adam(learning_rate, b1=b1, b2=b2, eps_root=1e-16)


@optimizer(ranges=_ranges("momentum"))
def sgd(
  learning_rate: Scalar, *, momentum: float = 0.0, nesterov: bool = False
) -> optax.GradientTransformation:
  """Stochastic gradient descent.

  Args:
    learning_rate: factor of the gradient.
    momentum: decay of the sum of gradients, in [0, 1]; 0 is plain descent.
    nesterov: whether the gradient is taken ahead of the momentum.

  References:
    Sutskever et al., "On the importance of initialization and momentum in deep
    learning", 2013, eq. 1 to 4.
  """
  return optax.sgd(learning_rate, momentum, nesterov)


def _of_optax(name: str) -> Optimizer:
  """An optimizer of optax; its numbers, bools and texts are keyword-only."""
  function = getattr(optax, name)
  first, *others = inspect.signature(function).parameters.values()
  own = [
    p.replace(kind=p.KEYWORD_ONLY)
    for p in others
    if isinstance(p.default, bool | int | float | str)
  ]

  def of_optax(
    learning_rate: Scalar, **hyper: Any
  ) -> optax.GradientTransformation:
    return function(learning_rate, **hyper)

  of_optax.__name__ = of_optax.__qualname__ = name
  of_optax.__doc__ = f"`optax.{name}`."
  of_optax.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
    [first, *own]
  )
  return optimizer(ranges=_ranges(*(p.name for p in own)))(of_optax)


OPTIMIZERS: dict[str, Optimizer] = {
  "adam": adam,
  "sgd": sgd,
  **{
    name: _of_optax(name)
    for name in (
      "adabelief",
      "adadelta",
      "adagrad",
      "adamax",
      "adamaxw",
      "adamw",
      "adan",
      "amsgrad",
      "lamb",
      "lion",
      "nadam",
      "nadamw",
      "novograd",
      "radam",
      "rmsprop",
      "sign_sgd",
      "yogi",
    )
  },
}


def clipped(
  transformation: optax.GradientTransformation, norm: Scalar
) -> optax.GradientTransformation:
  """Scales gradients of a larger norm down to `norm` before an update.

  `g min(1, norm / ||g||)`, of all gradients together.

  References:
    Pascanu et al., "On the difficulty of training Recurrent Neural Networks",
    2013, algorithm 1.
  """
  return optax.chain(optax.clip_by_global_norm(norm), transformation)
