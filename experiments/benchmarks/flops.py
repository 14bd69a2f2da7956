"""Floating-point operations of a step, and the most that the device does."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ae_jax.engine.group import group_trainer, stack
from ae_jax.parameters import split
from ae_jax.trial import Trial
from ae_jax.types import Labeled, Params
from experiments.benchmarks.timing import Work, interleaved

# More than one pass through the network, or through a part of it.
_MORE_PASSES = ("contractive", "iwae", "layerwise")


def of_matrix_products(params: Params, batch_size: int) -> int:
  """Those of a step of an MLP: forward, and backward to weights and inputs.

  A product of `[batch, n]` and `[n, m]` takes `2 batch n m`; each layer has
  three of them, the first one two, for the data need no gradient.

  Args:
    params: of one network.
    batch_size: examples a step.
  """
  encoder = params["encoder"]
  first = encoder.get("hidden_0", encoder)
  weights = 3 * _num_weights(params) - _num_weights(first)
  return 2 * batch_size * weights


def of_step(trial: Trial, data: np.ndarray) -> float:
  """Those of loss and gradient of one trial.

  Of an MLP the matrix products alone. All that XLA counts before it optimizes
  where there is more: a convolutional net, labels, pairs, parameters of the
  objective's own, or several passes through the network.
  """
  one = group_trainer([trial], data.shape[1:], len(data))
  key, hyper = jax.tree.map(lambda x: x[0], stack([trial]))
  params = jax.eval_shape(one.init, key, hyper).params
  size = trial.settings["batch_size"]
  if (
    trial.settings["network"] == "mlp"
    and trial.settings["objective"] not in _MORE_PASSES
    and trial.batch_kind is None
    and "objective" not in params
  ):
    return of_matrix_products(params, size)
  trained, carried = split(params)

  def loss(trained: Params, carried: Params, *arguments: Any) -> Any:
    value, *rest = one.loss(trained | carried, *arguments)
    return value, rest

  gradient = jax.jit(jax.value_and_grad(loss, has_aux=True))
  batch = _batch(trial, data[:size])
  return xla_count(gradient, trained, carried, key, batch, hyper)


def xla_count(function: Any, *arguments: Any) -> float:
  """Floating-point operations of a jitted function by XLA's own count."""
  return function.lower(*arguments).cost_analysis()["flops"]


def peak(quick: bool) -> float:
  """The best rate of a float32 matrix product just now, in FLOP/s.

  Products of two square matrices of several sizes, in the precision that JAX
  takes by default.
  """
  on_cpu = jax.default_backend() == "cpu"
  sizes = (256,) if quick else (1024, 2048) if on_cpu else (4096, 8192, 16384)
  product = jax.jit(jnp.matmul)

  def work(n: int) -> Work:
    matrix = jnp.ones((n, n), jnp.float32)

    def steps(count: int) -> None:
      for _ in range(count):
        result = product(matrix, matrix)
      result.block_until_ready()

    return Work(steps)

  seconds = interleaved(
    {str(n): work(n) for n in sizes},
    repeats=3,
    seconds=0.01 if quick else 0.2,
  )
  return max(2 * n**3 / min(seconds[str(n)].repeats) for n in sizes)


def _batch(trial: Trial, x: np.ndarray) -> Any:
  """Examples as the objective takes them; a count does not see their values."""
  match trial.batch_kind:
    case None:
      return x
    case "label":
      return Labeled(x, np.zeros(len(x), np.int32))
  return np.stack([x, x], axis=1)


def _num_weights(params: Params) -> int:
  return sum(p.size for p in jax.tree.leaves(params) if p.ndim > 1)
