"""SAP: how far one unit alone predicts a factor."""

import jax
import jax.numpy as jnp

from ae_jax.types import Array


def separated_attribute_predictability(
  z: Array,
  factors: Array,
  num_values: tuple[int, ...],
  is_ordered: tuple[bool, ...],
) -> Array:
  """SAP: the gap of the two best units' scores `S_jk`, mean over factors.

  Of an ordered factor, `S_jk = Cov(z_j, v_k)^2 / (Var(z_j) Var(v_k))`; of an
  unordered one `balanced_accuracy`, which no renaming of its values changes.

  Args:
    z: codes `[n, latent]`, in random order.
    factors: `[n, factors]`, integers in [0, num_values).
    num_values: of each factor; those of one value are left out.
    is_ordered: of each factor, whether its values are numbers.

  Returns:
    A scalar in [0, 1].

  References:
    Kumar et al., "Variational Inference of Disentangled Latent Concepts from
    Unlabeled Observations", 2018, section 3.
  """
  share = _squared_correlation(z, factors)
  gaps = [
    gap(share[:, k] if ordered else balanced_accuracy(z, factors[:, k], count))
    for k, (count, ordered) in enumerate(
      zip(num_values, is_ordered, strict=True)
    )
    if count > 1
  ]
  return jnp.mean(jnp.stack(gaps))


def balanced_accuracy(z: Array, values: Array, num_values: int) -> Array:
  """How well each unit alone names a value, by the nearest mean of a value.

  `max(0, (a - 1/K) / (1 - 1/K))`, a the mean of the accuracies on each of the K
  values. Means are those of the first half of the rows, a is that of the second
  half. Means that are equally near share an example. Kumar et al. choose the
  thresholds between values for the least error; here they lie halfway between
  the means.

  Args:
    z: codes `[n, latent]`, in random order.
    values: `[n]`, integers in [0, num_values).
    num_values: of the factor.

  Returns:
    `[latent]`, in [0, 1]: 0 is chance.
  """
  half = len(z) // 2
  seen, asked = jax.nn.one_hot(values[:half], num_values), values[half:]
  rows = jnp.sum(seen, axis=0)
  of_each = jnp.bincount(asked, length=num_values)
  number = jnp.sum(of_each > 0)

  def accuracy(z: Array) -> Array:
    sums = jnp.sum(z[:half, None] * seen, axis=0)
    means = jnp.where(rows > 0, sums / jnp.maximum(rows, 1), jnp.inf)
    away = jnp.abs(z[half:, None] - means[None])
    nearest = away == jnp.min(away, axis=1, keepdims=True)
    hits = nearest[jnp.arange(len(asked)), asked] / jnp.sum(nearest, axis=1)
    right = jnp.zeros(num_values).at[asked].add(hits)
    return jnp.sum(right / jnp.maximum(of_each, 1)) / number

  accuracies = jax.lax.map(accuracy, z.T)
  return jnp.maximum(number * accuracies - 1, 0) / jnp.maximum(number - 1, 1)


def gap(values: Array) -> Array:
  """The largest less the second."""
  largest = jnp.max(values)
  others = jnp.where(jnp.arange(len(values)) == jnp.argmax(values), 0, values)
  return largest - jnp.max(others)


def _squared_correlation(z: Array, factors: Array) -> Array:
  """`[latent, factors]`; 0 of a unit that does not vary."""
  z = z - jnp.mean(z, axis=0, keepdims=True)
  v = factors - jnp.mean(factors, axis=0, keepdims=True)
  products = jnp.mean(z**2, axis=0)[:, None] * jnp.mean(v**2, axis=0)[None]
  squared = (z.T @ v / len(z)) ** 2
  return jnp.where(products > 0, squared / jnp.maximum(products, 1e-30), 0)
