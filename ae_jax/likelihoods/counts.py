"""Masses of counts, whose means may depend on an example's library size.

With `library_size` (the default) the mean is `l softmax(h)`: l is the sum of
the example's counts, at least 1, and the softmax goes over all features.
Without it the mean of each feature is `softplus(h)`. The encoder sees
log(1 + x).
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from ae_jax.declarations import Values, likelihood
from ae_jax.likelihoods.likelihood import check_same_shape, sum_features
from ae_jax.likelihoods.special import bounded, log_rising, log_softplus
from ae_jax.types import Array, Params

_LOG_DISPERSION = -6.0, 10.0  # least and greatest log theta
_SPEED = 10.0  # of log theta, see `location_scale`
gammaln = jax.scipy.special.gammaln


def are_whole(x: np.ndarray) -> bool:
  """Whether all are whole numbers."""
  return bool(np.all(x == np.rint(x)))


def log1p(x: Array) -> Array:
  """log(1 + x), of what noise made negative 0."""
  return jnp.log1p(jnp.maximum(x, 0))


def _library_size(x: Array, *, library_size: bool) -> Array:
  return jnp.maximum(sum_features(x), 1) if library_size else jnp.ones(len(x))


def _independent(*, library_size: bool) -> bool:
  return not library_size


_counts = functools.partial(
  likelihood,
  support=(0.0, float("inf")),
  kind="mass",
  values=Values("counts: whole numbers", are_whole),
  encoder_input=log1p,
  library_size=_library_size,
  independent=_independent,
)


def _log_share(h: Array) -> Array:
  """The logarithm of the softmax over the features of `[batch, *features]`."""
  return jax.nn.log_softmax(h, axis=tuple(range(1, h.ndim)))


def _log_mean(x: Array, h: Array, library_size: bool) -> Array:
  if not library_size:
    return log_softplus(h)
  size = _library_size(x, library_size=True)
  return jnp.log(size).reshape(-1, *[1] * (h.ndim - 1)) + _log_share(h)


def _mean(h: Array, *, library_size: bool) -> Array:
  return jnp.exp(_log_share(h)) if library_size else jax.nn.softplus(h)


_FORMULA = "softmax(h) over all features, times the sum of x"


@_counts(mean=_mean, formula=_FORMULA)
def poisson(x: Array, decoded: Array, *, library_size: bool = True) -> Array:
  """`-log Poisson(x; mu) = mu - x log mu + log x!`.

  Args:
    x: counts `[batch, *features]`.
    decoded: h, the shape of x.
    library_size: whether the mean mu is `l softmax(h)`, else softplus(h).

  Returns:
    `[batch, *features]` in nats.
  """
  check_same_shape(x, decoded)
  log_mean = _log_mean(x, decoded, library_size)
  return jnp.exp(log_mean) - x * log_mean + gammaln(x + 1)


def _dispersion(features: tuple[int, ...]) -> Params:
  return {"log_dispersion": jnp.zeros(features)}


def _first_mean(decoded: Array, *, library_size: bool) -> Array:
  return _mean(decoded[..., 0], library_size=library_size)


@_counts(mean=_first_mean, params=_dispersion, formula=_FORMULA)
def negative_binomial(
  x: Array, decoded: Array, *, library_size: bool = True
) -> Array:
  """`-log NB(x; mu, theta)`, of mean mu and variance `mu + mu^2 / theta`.

  `-log G(x + theta) / (G(theta) x!) + theta log(1 + mu / theta)
  + x log(1 + theta / mu)`, G the gamma function. theta is learned, one for each
  feature, from e^-6 to e^10.

  Args:
    x: counts `[batch, *features]`.
    decoded: h and the parameter of theta, `[batch, *features, 2]`.
    library_size: see `poisson`.

  Returns:
    `[batch, *features]` in nats.

  References:
    Lopez et al., "Deep generative modeling for single-cell transcriptomics",
    2018.
  """
  return _negative_binomial(x, decoded[..., 0], decoded[..., 1], library_size)


def _negative_binomial(
  x: Array, h: Array, dispersion: Array, library_size: bool
) -> Array:
  log_mean = _log_mean(x, h, library_size)
  check_same_shape(x, log_mean)
  log_theta = bounded(_SPEED * dispersion, *_LOG_DISPERSION)
  theta = jnp.exp(log_theta)
  ratio = log_mean - log_theta
  return (
    theta * jax.nn.softplus(ratio)
    + x * jax.nn.softplus(-ratio)
    - log_rising(x, theta)
    + gammaln(x + 1)
  )


def _inflated_mean(decoded: Array, *, library_size: bool) -> Array:
  mean = _mean(decoded[..., 0], library_size=library_size)
  return mean * jax.nn.sigmoid(-decoded[..., 1])


@_counts(
  mean=_inflated_mean,
  size=2,
  params=_dispersion,
  formula="(1 - sigmoid(h[..., 1])) softmax(h[..., 0]) over all features, times"
  " the sum of x",
)
def zero_inflated_negative_binomial(
  x: Array, decoded: Array, *, library_size: bool = True
) -> Array:
  """`-log(pi 1[x = 0] + (1 - pi) NB(x; mu, theta))`.

  Args:
    x: counts `[batch, *features]`.
    decoded: h, the logit of pi and the parameter of theta, see
      `negative_binomial`: `[batch, *features, 3]`.
    library_size: see `poisson`.

  Returns:
    `[batch, *features]` in nats.

  References:
    Lopez et al., "Deep generative modeling for single-cell transcriptomics",
    2018.
  """
  h, logit, dispersion = jnp.moveaxis(decoded, -1, 0)
  counted = jax.nn.softplus(logit) + _negative_binomial(
    x, h, dispersion, library_size
  )
  zero = -jnp.logaddexp(-jax.nn.softplus(-logit), -counted)
  return jnp.where(x == 0, zero, counted)


def _shares(h: Array) -> Array:
  return jnp.exp(_log_share(h))


@_counts(
  mean=_shares,
  library_size=sum_features,
  independent=False,
  formula=_FORMULA,
)
def multinomial(x: Array, decoded: Array) -> Array:
  """`-log n! + sum_j log x_j! - x_j log p_j`, n = sum x, p = softmax(h).

  Given the library size: what a Poisson's features are, given their sum.

  Args:
    x: counts `[batch, *features]`.
    decoded: h, the shape of x.

  Returns:
    `[batch, *features]` in nats: `log n!` is spread evenly.
  """
  check_same_shape(x, decoded)
  each = gammaln(x + 1) - x * _log_share(decoded)
  whole = gammaln(sum_features(x) + 1) / (x.size // x.shape[0])
  return each - whole.reshape(-1, *[1] * (x.ndim - 1))
