"""Objectives on small networks and data, for their tests."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from ae_jax.declarations import of_objective
from ae_jax.networks import Spec, autoencoder
from ae_jax.objectives import OBJECTIVES
from ae_jax.parameters import init_params
from ae_jax.settings import hyper_parameters
from ae_jax.types import Labeled

X = np.random.default_rng(0).uniform(size=(6, 5)).astype(np.float32)
KEY = jax.random.key(1)
Z_KEY = jax.random.split(KEY)[0]  # of z, in objectives that draw more than z


def network(name, latent_size=3, **fields):
  """A model of an objective, and initial parameters."""
  model, params = _network(name, latent_size, tuple(fields.items()))
  return model, jax.tree.map(lambda leaf: leaf, params)  # to be changed


@functools.cache
def _network(name, latent_size, fields):
  declared = of_objective(OBJECTIVES[name])
  fields = {
    "widths": (4,),
    "activation": "tanh",
    "code": declared.code or "linear",
    "objective": OBJECTIVES[name] if declared.is_of_the_model else None,
  } | dict(fields)
  model = autoencoder(Spec((5,), 4, **fields), latent_size)
  return model, params_of(name, model)


def batch_of(name, x=X):
  """x, or what it takes: labels, or each example beside the next."""
  batch = of_objective(OBJECTIVES[name]).batch
  if batch == "labels":
    return Labeled(x, jnp.arange(len(x)) % 3)
  if batch == "pairs":
    return jnp.stack([x, jnp.roll(x, 1, axis=0)], axis=1)
  return x


@functools.cache
def loss_and_terms(name, **static):
  """What an objective gives on its network and data."""
  model, params = network(name)
  objective = functools.partial(stateless(name), **floats(name), **static)
  return jax.jit(functools.partial(objective, model))(
    params, KEY, batch_of(name)
  )


def stateless(name):
  """The objective without what it carries."""

  def loss(*arguments, **hyper):
    return OBJECTIVES[name](*arguments, **hyper)[:2]

  return loss


def params_of(name, model, **given):
  hyper = hyper_parameters("objective", OBJECTIVES[name]) | given
  return init_params(OBJECTIVES[name], model, jax.random.key(0), hyper)


def floats(name):
  hyper = hyper_parameters("objective", OBJECTIVES[name])
  return {k: v for k, v in hyper.items() if isinstance(v, float)}
