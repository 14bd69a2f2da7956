"""Whether each unit of a code depends on one factor of the data.

Codes are means of q(z|x), of at most 10,000 train examples, drawn at random
with a fixed seed; factors that do not vary among them are left out. Bins,
sample sizes and the least deviation of a unit are those of Locatello et al.,
"Challenging Common Assumptions in the Unsupervised Learning of Disentangled
Representations", 2019, appendix C.
"""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ae_jax.data import to_float
from ae_jax.metrics import interpretability
from ae_jax.metrics.codes import encode, nan_unless_finite
from ae_jax.metrics.eval_data import EvalData
from ae_jax.metrics.features import linear_probe_accuracy
from ae_jax.metrics.over_trials import Columns, Units, over_trials
from ae_jax.metrics.sap import gap, separated_attribute_predictability
from ae_jax.networks import Spec
from ae_jax.types import Array, Autoencoder, Gaussian, Key, Params, Scalar

NUM_EXAMPLES = 10_000
_NUM_BINS = 20
_BATCH = 64  # examples of a vote, pairs of a difference
_NUM_TRAIN, _NUM_TEST = 10_000, 5_000  # votes, differences
_BLOCK = 250  # votes at once
_LEAST_STD = 0.05  # of a unit that may vote


def measure(
  spec: Spec, params: Params, latent_sizes: Array, data: EvalData
) -> tuple[Columns, Units]:
  """The metric group "disentanglement", of data with known factors."""
  data = random_subset(data)
  if data.factors is None:
    return {}, {}
  columns, units, codes = _of_factors(spec, params, latent_sizes, data)
  factors = np.asarray(data.factors)
  on_host = [
    interpretability.metrics(z[:, :size], factors)  # without the padding
    for z, size in zip(np.asarray(codes), latent_sizes.tolist(), strict=True)
  ]
  return columns | {
    name: np.array([values[name] for values in on_host])
    for name in interpretability.NAMES
  }, units


def random_subset(data: EvalData) -> EvalData:
  """Train examples in random order, with the factors that vary among them.

  The files of many datasets are sorted by their factors.
  """
  if data.factors is None:
    return data
  order = np.random.default_rng(0).permutation(len(data.train))
  rows = order[:NUM_EXAMPLES]
  factors = np.asarray(data.factors)[rows]
  varies = np.ptp(factors, axis=0) > 0
  if varies.sum() < 2:
    return dataclasses.replace(data, factors=None)
  return dataclasses.replace(
    data,
    train=data.train[rows],
    train_label=None if data.train_label is None else data.train_label[rows],
    factors=jnp.asarray(factors[:, varies]),
    num_values=tuple(np.array(data.num_values)[varies].tolist()),
    factor_names=tuple(np.array(data.factor_names)[varies].tolist()),
  )


@over_trials
def _of_factors(
  model: Autoencoder, params: Params, data: EvalData
) -> tuple[Columns, Units, Array]:
  assert data.factors is not None
  codes = encode(model, params, data.train, data.train_label)
  common = data.factors, data.num_values
  information = mutual_information(codes, *common)
  key = jax.random.key(0)
  # A unit of a Gaussian code is to have the deviation of N(0, 1); a point code
  # has any scale.
  code = jax.eval_shape(model.encode, params, to_float(data.train[:1]))
  is_gaussian = isinstance(code, Gaussian)
  scale = 1.0 if is_gaussian else jnp.max(jnp.std(codes, axis=0))
  columns = {
    "beta_vae_score": beta_vae_score(key, codes, *common),
    "factor_vae_score": factor_vae_score(
      key, codes, *common, _LEAST_STD * scale
    ),
    "mig": mutual_information_gap(information, *common),
    "sap": separated_attribute_predictability(codes, *common, data.is_ordered),
    "modularity": modularity(information),
  }
  units = {
    f"information_{name}": information[:, k]
    for k, name in enumerate(data.factor_names)
  }
  return nan_unless_finite(codes, columns), units, codes


def mutual_information(
  z: Array, factors: Array, num_values: tuple[int, ...]
) -> Array:
  """`I(z_j; v_k)` in nats, each unit in 20 bins of equal width.

  Args:
    z: codes `[n, latent]`.
    factors: `[n, factors]`, integers in [0, num_values).
    num_values: of each factor.

  Returns:
    `[latent, factors]`; 0 of a unit that does not vary.
  """
  low, high = jnp.min(z, axis=0), jnp.max(z, axis=0)
  width = jnp.where(high > low, high - low, 1.0)
  bins = (_NUM_BINS * (z - low[None]) / width[None]).astype(jnp.int32)
  bins = jax.nn.one_hot(jnp.clip(bins, 0, _NUM_BINS - 1), _NUM_BINS)
  columns = []
  for k, count in enumerate(num_values):
    values = jax.nn.one_hot(factors[:, k], count)
    joint = jnp.einsum("njb,nv->jbv", bins, values) / len(z)
    columns.append(
      jnp.sum(jax.scipy.special.entr(jnp.sum(joint, axis=2)), axis=1)
      + jnp.sum(jax.scipy.special.entr(jnp.mean(values, axis=0)))
      - jnp.sum(jax.scipy.special.entr(joint), axis=(1, 2))
    )
  return jnp.stack(columns, axis=1)


def mutual_information_gap(
  information: Array, factors: Array, num_values: tuple[int, ...]
) -> Array:
  """MIG: `1/K sum_k (I(z_(1); v_k) - I(z_(2); v_k)) / H(v_k)`.

  Args:
    information: of `mutual_information`.
    factors: `[n, factors]`.
    num_values: of each factor; those of one value are left out.

  Returns:
    A scalar in [0, 1].

  References:
    Chen et al., "Isolating Sources of Disentanglement in Variational
    Autoencoders", 2018, eq. 6.
  """
  gaps = [
    gap(information[:, k])
    / jnp.sum(
      jax.scipy.special.entr(
        jnp.mean(jax.nn.one_hot(factors[:, k], count), axis=0)
      )
    )
    for k, count in enumerate(num_values)
    if count > 1
  ]
  return jnp.mean(jnp.stack(gaps))


def modularity(information: Array) -> Array:
  """How far a unit has information on one factor only, mean over units.

  `1 - sum_{k != k*} I(z_j; v_k)^2 / (I(z_j; v_k*)^2 (K - 1))`, k* the factor
  that a unit has most information on.

  Args:
    information: of `mutual_information`, K at least 2.

  Returns:
    A scalar in [0, 1]; units without any information are left out (in
    Locatello et al. 2019 they count 0).

  References:
    Ridgeway and Mozer, "Learning Deep Disentangled Embeddings with the
    F-Statistic Loss", 2018, eq. 2.
  """
  squared = information**2
  largest = jnp.max(squared, axis=1)
  others = jnp.sum(squared, axis=1) - largest
  informed = largest > 1e-6
  deviation = others / jnp.where(informed, largest, 1.0)
  score = 1 - deviation / (information.shape[1] - 1)
  return jnp.sum(jnp.where(informed, score, 0)) / jnp.maximum(
    jnp.sum(informed), 1
  )


def factor_vae_score(
  key: Key,
  z: Array,
  factors: Array,
  num_values: tuple[int, ...],
  least_std: Scalar = _LEAST_STD,
) -> Array:
  """Accuracy of naming the factor that a batch shares by its quietest unit.

  Batches of 64 examples share the value of one factor, drawn with it. The unit
  of least variance, relative to that over all examples, votes; 10,000 votes
  say which factor a unit stands for, 5,000 others are counted.

  Args:
    key: of the draws.
    z: codes `[n, latent]`.
    factors: `[n, factors]`.
    num_values: of each factor.
    least_std: standard deviation of the codes below which a unit has no vote:
      the noise of a unit that has collapsed is no sign of a factor.

  Returns:
    A scalar in [0, 1]; 0 where no unit has a vote.

  References:
    Kim and Mnih, "Disentangling by Factorising", 2018, section 4.
  """
  rows = _rows(factors, num_values)
  variance = jnp.var(z, axis=0)
  has_vote = (variance > 0) & (jnp.sqrt(variance) >= least_std)

  def quietest(key: Key) -> tuple[Array, Array]:
    factor_key, rows_key = jax.random.split(key)
    factor = jax.random.randint(factor_key, (), 0, len(num_values))
    some = _that_share(rows_key, rows, factor, _BATCH)
    share = jnp.var(z[some], axis=0) / jnp.where(has_vote, variance, 1.0)
    return factor, jnp.argmin(jnp.where(has_vote, share, jnp.inf))

  keys = jax.random.split(key, _NUM_TRAIN + _NUM_TEST)
  factor, unit = jax.lax.map(quietest, keys, batch_size=_BLOCK)
  votes = jnp.zeros((z.shape[1], len(num_values)))
  votes = votes.at[unit[:_NUM_TRAIN], factor[:_NUM_TRAIN]].add(1)
  said = jnp.argmax(votes, axis=1)[unit[_NUM_TRAIN:]]
  accuracy = jnp.mean(said == factor[_NUM_TRAIN:])
  return jnp.where(jnp.any(has_vote), accuracy, 0.0)


def beta_vae_score(
  key: Key, z: Array, factors: Array, num_values: tuple[int, ...]
) -> Array:
  """Accuracy of naming the factor that pairs share by how codes differ.

  A logistic regression is given `1/64 sum |z - z'|` over pairs that share the
  value of one factor: 10,000 sums to learn from, 5,000 to be counted.

  Args:
    key: of the draws.
    z: codes `[n, latent]`.
    factors: `[n, factors]`.
    num_values: of each factor.

  Returns:
    A scalar in [0, 1].

  References:
    Higgins et al., "beta-VAE", 2017, section 3.
  """
  rows = _rows(factors, num_values)

  def difference(key: Key) -> tuple[Array, Array]:
    factor_key, rows_key = jax.random.split(key)
    factor = jax.random.randint(factor_key, (), 0, len(num_values))

    def pair(key: Key) -> Array:
      one, other = _that_share(key, rows, factor, 2)
      return jnp.abs(z[one] - z[other])

    pairs = jax.vmap(pair)(jax.random.split(rows_key, _BATCH))
    return factor, jnp.mean(pairs, axis=0)

  keys = jax.random.split(key, _NUM_TRAIN + _NUM_TEST)
  factor, differences = jax.lax.map(difference, keys, batch_size=_BLOCK)
  return linear_probe_accuracy(
    differences[:_NUM_TRAIN],
    factor[:_NUM_TRAIN],
    differences[_NUM_TRAIN:],
    factor[_NUM_TRAIN:],
    len(num_values),
  )


class _Rows(NamedTuple):
  """Rows by their value of each factor.

  Attributes:
    factors: `[n, factors]`.
    order: `[factors, n]`, rows by rising value.
    start: `[factors, values]`, where in `order` a value begins.
    counts: `[factors, values]`, rows of a value.
  """

  factors: Array
  order: Array
  start: Array
  counts: Array


def _rows(factors: Array, num_values: tuple[int, ...]) -> _Rows:
  counts = jnp.stack(
    [jnp.bincount(v, length=max(num_values)) for v in factors.T]
  )
  start = jnp.cumsum(counts, axis=1) - counts
  return _Rows(factors, jnp.argsort(factors, axis=0).T, start, counts)


def _that_share(key: Key, rows: _Rows, factor: Array, number: int) -> Array:
  """Rows that share a value of a factor: that of a random row."""
  first_key, others_key = jax.random.split(key)
  first = jax.random.randint(first_key, (), 0, len(rows.factors))
  value = rows.factors[first, factor]
  count, start = rows.counts[factor, value], rows.start[factor, value]
  places = jax.random.uniform(others_key, (number,)) * count
  return rows.order[factor, start + places.astype(jnp.int32)]
