"""Numbers in [0, 1]: bits, gray values, shares of a count, one-hot classes."""

import math

import jax
import jax.numpy as jnp
import numpy as np

from ae_jax.declarations import Values, likelihood
from ae_jax.likelihoods.likelihood import check_same_shape, sum_features
from ae_jax.types import Array

gammaln = jax.scipy.special.gammaln
_SERIES = 0.3  # below it a series is right to 3e-7


def bernoulli_cross_entropy(x: Array, logits: Array) -> Array:
  """Bernoulli cross-entropy from logits l, in nats.

  `-x log s(l) - (1 - x) log(1 - s(l))
  = x log(1 + e^-l) + (1 - x) log(1 + e^l)`, s the sigmoid. Finite, with finite
  gradients, at any finite logit.

  Args:
    x: data `[batch, *features]` in [0, 1].
    logits: the shape of `x`.

  Returns:
    `[batch]`, summed over the features.

  Raises:
    ValueError: the shapes differ.
  """
  return sum_features(bernoulli(x, logits))


@likelihood(
  mean=jax.nn.sigmoid,
  support=(0.0, 1.0),
  kind="mass",
  values=Values("0 and 1", lambda x: np.isin(x, (0, 1)).all()),
  relaxed=True,
  formula="sigmoid(h)",
)
def bernoulli(x: Array, decoded: Array) -> Array:
  """Each feature of `bernoulli_cross_entropy`, `[batch, *features]`."""
  check_same_shape(x, decoded)
  softplus = jax.nn.softplus
  return x * softplus(-decoded) + (1 - x) * softplus(decoded)


def _is_small(h: Array) -> tuple[Array, Array]:
  """Where a series is taken; and h, where it is not, else 1."""
  is_small = jnp.abs(h) < _SERIES
  return is_small, jnp.where(is_small, 1.0, h)


def continuous_bernoulli_mean(h: Array) -> Array:
  """`1 / (1 - e^-h) - 1 / h`; `1/2 + h/12 - h^3/720` near 0."""
  is_small, safe = _is_small(h)
  series = 0.5 + h / 12 - jnp.where(is_small, h, 0) ** 3 / 720
  return jnp.where(is_small, series, -1 / jnp.expm1(-safe) - 1 / safe)


@likelihood(
  mean=continuous_bernoulli_mean,
  support=(0.0, 1.0),
  formula="1 / (1 - exp(-h)) - 1 / h",
)
def continuous_bernoulli(x: Array, decoded: Array) -> Array:
  """A Bernoulli's cross-entropy with the normalizer that gray values need.

  `log(1 + e^h) - x h - log C`, `C = h / tanh(h / 2)`, from logits h; C is 2 at
  h = 0, near which `log C = log 2 + h^2/12 - 7 h^4/1440`.

  Args:
    x: data `[batch, *features]` in [0, 1].
    decoded: h, the shape of x.

  Returns:
    `[batch, *features]` in nats.

  References:
    Loaiza-Ganem and Cunningham, "The continuous Bernoulli", 2019, eq. 5 and 8.
  """
  is_small, safe = _is_small(decoded)
  square = jnp.where(is_small, decoded, 0) ** 2
  series = math.log(2) + square / 12 - 7 * square**2 / 1440
  size = jnp.abs(safe)
  exact = jnp.log(size) - jnp.log(jnp.tanh(0.5 * size))
  return bernoulli(x, decoded) - jnp.where(is_small, series, exact)


def _are_counts(x: np.ndarray, *, max_count: int) -> bool:
  counts = x * max_count
  # A float32 x is rounded by 2^-24 of itself.
  return bool(np.all(np.abs(counts - np.rint(counts)) < 1e-6 * max_count))


def _share(decoded: Array, **_: object) -> Array:
  return jax.nn.sigmoid(decoded)


@likelihood(
  mean=_share,
  support=(0.0, 1.0),
  kind="mass",
  values=Values("whole numbers / max_count", _are_counts),
  ranges={"max_count": (1, math.inf)},
  formula="sigmoid(h)",
)
def binomial(x: Array, decoded: Array, *, max_count: int = 16) -> Array:
  """`-log Binomial(n x; n, sigmoid(h))` of shares x = k / n.

  Args:
    x: `[batch, *features]`, k / n.
    decoded: h, the shape of x.
    max_count: n, such as 16 of scikit-learn's digits, divided by 16.

  Returns:
    `[batch, *features]` in nats.
  """
  n, k = float(max_count), max_count * x
  ways = gammaln(n + 1.0) - gammaln(k + 1) - gammaln(n - k + 1)
  return max_count * bernoulli(x, decoded) - ways


def _are_one_hot(x: np.ndarray) -> bool:
  return bool(np.isin(x, (0, 1)).all() and np.all(x.sum(axis=-1) == 1))


@likelihood(
  mean=jax.nn.softmax,
  support=(0.0, 1.0),
  kind="mass",
  values=Values("a single 1 among zeros on the last axis", _are_one_hot),
  independent=False,
  formula="softmax(h) over the last axis",
)
def categorical(x: Array, decoded: Array) -> Array:
  """`-sum_k x_k log softmax(h)_k` of one-hot x, over the last axis.

  Args:
    x: `[batch, *features]`, a class as 1 among zeros on the last axis.
    decoded: h, the shape of x.

  Returns:
    `[batch, *features]` in nats, 0 but at the class.
  """
  check_same_shape(x, decoded)
  return -x * jax.nn.log_softmax(decoded)
