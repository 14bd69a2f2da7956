"""Optimizers, whose numbers may be traced."""

import optax

from ae_jax.schedules import Hyper


def adam(hyper: Hyper) -> optax.GradientTransformation:
  """Adam at the learning rate `hyper["learning_rate"]`.

  References:
    Kingma and Ba, "Adam: A Method for Stochastic Optimization", 2015.
  """
  # eps_root keeps gradients through training finite where a moment is 0; it
  # is as small as Adam's own eps.
  return optax.adam(hyper["learning_rate"], eps_root=1e-16)
