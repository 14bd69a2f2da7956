"""Activations by name."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from ae_jax.types import Array

ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
  "linear": lambda x: x,
  "relu": jax.nn.relu,
  "leaky_relu": jax.nn.leaky_relu,
  "elu": jax.nn.elu,
  "gelu": jax.nn.gelu,
  "silu": jax.nn.silu,
  "softplus": jax.nn.softplus,
  "sigmoid": jax.nn.sigmoid,
  "tanh": jnp.tanh,
}
