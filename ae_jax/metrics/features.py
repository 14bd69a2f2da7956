"""How useful codes are as features of a classifier."""

import functools

import jax
import jax.numpy as jnp
import optax

from ae_jax.metrics.batching import map_batches
from ae_jax.metrics.codes import with_classes
from ae_jax.metrics.eval_data import EvalData
from ae_jax.metrics.neighbors import squared_distances
from ae_jax.metrics.over_trials import Columns
from ae_jax.types import Array

_MAX_ITERATIONS = 300
_TOLERANCE = 1e-4


def compare(train: Array, held_out: Array, data: EvalData) -> Columns:
  """The columns of codes of one trial, for each held-out example."""
  classes, num_classes = data.held_out_classes, data.num_classes
  assert data.train_classes is not None
  assert classes is not None
  logits = linear_probe(train, data.train_classes, held_out, num_classes)
  correct = jnp.argmax(logits, axis=1) == classes
  return {
    "probe_accuracy": correct.astype(jnp.float32),
    "silhouette": jnp.concatenate(
      [
        silhouettes(held_out[rows], classes[rows], num_classes)
        for rows in data.parts.values()
      ]
    ),
  }


measure = functools.partial(with_classes, compare)  # the metric group


def linear_probe_accuracy(
  train: Array,
  train_classes: Array,
  test: Array,
  test_classes: Array,
  num_classes: int,
) -> Array:
  """Test accuracy of a multinomial logistic regression on codes.

  See `linear_probe`.

  Args:
    train: `[n, latent]`.
    train_classes: `[n]`, integers in [0, num_classes).
    test: `[m, latent]`.
    test_classes: `[m]`.
    num_classes: of both.

  Returns:
    A scalar in [0, 1].
  """
  logits = linear_probe(train, train_classes, test, num_classes)
  return jnp.mean(jnp.argmax(logits, axis=1) == test_classes)


def linear_probe(
  train: Array, train_classes: Array, test: Array, num_classes: int
) -> Array:
  """Logits of a multinomial logistic regression on codes.

  Codes are standardized by the train codes' mean and deviation. The weights
  minimize `sum_i -log p(c_i | z_i) + 1/2 ||W||_F^2` (no penalty on the
  biases), by L-BFGS until no entry of the gradient of the mean exceeds 1e-4:
  scikit-learn's `LogisticRegression` with its default C = 1. Two classes have
  one vector of weights there, of which the two here are halves: then the
  penalty is `||W||_F^2`.

  Args:
    train: `[n, latent]`.
    train_classes: `[n]`, integers in [0, num_classes).
    test: `[m, latent]`.
    num_classes: of both.

  Returns:
    Of the test codes, `[m, num_classes]`, up to a constant for each.

  References:
    Liu and Nocedal, "On the limited memory BFGS method for large scale
    optimization", 1989; Alain and Bengio, "Understanding intermediate layers
    using linear classifier probes", 2017.
  """
  mean, std = jnp.mean(train, axis=0), jnp.std(train, axis=0)
  std = jnp.where(std > 1e-6 * jnp.abs(mean), std, 1.0)  # a unit that is off
  x = (train - mean[None]) / std[None]
  one_hot = jax.nn.one_hot(train_classes, num_classes)
  strength = 1.0 if num_classes == 2 else 0.5

  def logits(weights: dict[str, Array], x: Array) -> Array:
    return x @ weights["kernel"] + weights["bias"][None]

  def loss(weights: dict[str, Array]) -> Array:
    losses = optax.softmax_cross_entropy(logits(weights, x), one_hot)
    penalty = strength * jnp.sum(weights["kernel"] ** 2)
    return jnp.mean(losses) + penalty / len(x)

  lbfgs = optax.lbfgs()
  value_and_grad = optax.value_and_grad_from_state(loss)

  def step(carry):
    weights, state, iteration = carry
    value, grad = value_and_grad(weights, state=state)
    updates, state = lbfgs.update(
      grad, state, weights, value=value, grad=grad, value_fn=loss
    )
    return optax.apply_updates(weights, updates), state, iteration + 1

  def goes_on(carry):
    _, state, iteration = carry
    largest = optax.tree.norm(optax.tree.get(state, "grad"), ord=jnp.inf)
    unfinished = (largest > _TOLERANCE) & (iteration < _MAX_ITERATIONS)
    return (iteration == 0) | unfinished

  weights = {
    "kernel": jnp.zeros((x.shape[1], num_classes)),
    "bias": jnp.zeros(num_classes),
  }
  weights, _, _ = jax.lax.while_loop(
    goes_on, step, (weights, lbfgs.init(weights), 0)
  )
  return logits(weights, (test - mean[None]) / std[None])


def silhouettes(codes: Array, classes: Array, num_classes: int) -> Array:
  """How far classes lie apart: the silhouette of each code in its class.

  `s = (b - a) / max(a, b)`: a is the mean Euclidean distance of a code to the
  others of its class, b that to the codes of the nearest other class. 1 says
  well parted, 0 that classes touch or mix, below 0 that most codes are nearer
  to another class than to their own. A class of one example counts 0.

  Args:
    codes: `[n, latent]`.
    classes: `[n]`, integers in [0, num_classes); at least two occur.
    num_classes: of them.

  Returns:
    `[n]`, in [-1, 1].

  References:
    Rousseeuw, "Silhouettes: a graphical aid to the interpretation and
    validation of cluster analysis", 1987.
  """
  one_hot = jax.nn.one_hot(classes, num_classes)
  counts = jnp.sum(one_hot, axis=0)

  def of_block(block: tuple[Array, Array, Array]) -> Array:
    z, own, index = block
    distances = jnp.sqrt(squared_distances(z, codes))
    itself = index[:, None] == jnp.arange(len(codes))[None]
    sums = jnp.where(itself, 0.0, distances) @ one_hot  # [block, classes]
    is_own = jax.nn.one_hot(own, num_classes, dtype=bool)
    a = jnp.sum(jnp.where(is_own, sums, 0.0), axis=1)
    a = a / jnp.maximum(counts[own] - 1, 1)
    others = jnp.where(
      is_own | (counts[None] == 0),
      jnp.inf,
      sums / jnp.maximum(counts, 1)[None],
    )
    b = jnp.min(others, axis=1)
    largest = jnp.maximum(a, b)
    score = jnp.where(largest > 0, (b - a) / largest, 0.0)
    return jnp.where(counts[own] > 1, score, 0.0)

  return map_batches(of_block, (codes, classes, jnp.arange(len(codes))))
