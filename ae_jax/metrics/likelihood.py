"""Bounds on the log-likelihood of a variational autoencoder, in nats."""

import dataclasses
import math

import jax
import jax.numpy as jnp
import numpy as np

from ae_jax.data import to_float
from ae_jax.divergences import (
  gaussian_kl,
  log_ratio_to_mixture,
  univariate_gaussian_kl,
)
from ae_jax.metrics import aggregate_posterior
from ae_jax.metrics.batching import map_batches
from ae_jax.metrics.codes import nan_unless_finite
from ae_jax.metrics.columns import BOUND_OF, NUM_SAMPLES
from ae_jax.metrics.eval_data import EvalData
from ae_jax.metrics.over_trials import Columns, Units, over_trials
from ae_jax.minibatch import dequantized
from ae_jax.networks import Spec, given
from ae_jax.types import Array, Autoencoder, Gaussian, Key, Params

_ACTIVE = 0.01


def measure(
  spec: Spec, params: Params, latent_sizes: Array, data: EvalData
) -> tuple[Columns, Units]:
  """The metric group "likelihood", of a Gaussian code."""
  if spec.code != "gaussian":
    return {}, {}
  x = np.asarray(data.held_out)
  kind = "mass" if data.dequantize else _kind(spec, x)
  if data.dequantize:
    data = _dequantized(data)
  nats, units, others = _bounds(spec, params, latent_sizes, data)
  if data.dequantize:
    nats = {
      name: value if name.endswith("kl") else value + x[0].size * math.log(255)
      for name, value in nats.items()
    }
  columns = {
    f"{name}{'' if name.endswith('kl') else BOUND_OF[kind]}_nats": value
    for name, value in nats.items()
  }
  if kind == "mass":
    for part, rows in data.parts.items():
      bits = _observed_features(x[rows]) * math.log(2)
      columns |= {
        f"{k}_bits_per_dim": v / bits
        for k, v in nats.items()
        if k.startswith(part)
      }
  return columns | others, units


def _dequantized(data: EvalData) -> EvalData:
  """The data with a draw of the noise that bytes get in training.

  With u of a cell of volume 255^-d around x, `log P(x) >= E_u[log p(x + u)] -
  d log 255`: the mean over examples of what bounds `log p(x + u)` from below
  bounds that of `log P(x)` in expectation.

  References:
    Theis et al., "A Note on the Evaluation of Generative Models", 2016, section
    3.1.
  """
  held_out = dequantized(jax.random.key(1), to_float(data.held_out))
  return dataclasses.replace(data, held_out=held_out)


def _kind(spec: Spec, x: np.ndarray) -> str:
  """What a bound of data is, missing entries left out."""
  likelihood, x = spec.likelihood_of({}), to_float(x)
  if spec.missing:
    x = np.asarray(likelihood.filled(x))
  return likelihood.kind(x)


def _observed_features(x: np.ndarray) -> float:
  """Features of an example that are not missing, mean over examples."""
  return float(np.sum(~np.isnan(to_float(x))) / len(x))


@over_trials
def _bounds(
  model: Autoencoder, params: Params, data: EvalData
) -> tuple[dict[str, Array], Units, Columns]:
  nats, posterior = elbo_and_iwae(
    model,
    params,
    jax.random.key(0),
    data.held_out,
    NUM_SAMPLES,
    data.held_out_label,
  )
  units: Units = {}
  others = aggregate_posterior.columns(model, params, data)
  for part, rows in data.parts.items():
    variance = jnp.var(posterior["mean"][rows], axis=0)
    others |= nan_unless_finite(
      variance, {f"{part}_active_units": active_units(variance)}
    )
    units = units or {"kl": jnp.mean(posterior["kl"][rows], axis=0)}
  return data.means(nats), units, others


def elbo_and_iwae(
  model: Autoencoder,
  params: Params,
  key: Key,
  data: Array,
  num_samples: int,
  label: Array | None = None,
) -> tuple[dict[str, Array], dict[str, Array]]:
  """Bounds on `-log p(x)`, the constant of p(x|z) included, in nats.

  With z_k ~ q(z|x) and w_k = p(x|z_k) p(z_k) / q(z_k|x):
  `reconstruction = -1/K sum_k log p(x|z_k)`, `kl = KL(q(z|x) || p(z))` in
  closed form, of a prior that is a mixture by the same samples,
  `negative_elbo = reconstruction + kl`, and `nll = -log 1/K sum_k w_k`, at
  least `-log p(x)` in expectation and nearer to it than the ELBO, by about
  `Var[w] / (2 K E[w]^2)`. Samples are drawn one after the other: memory does
  not grow with K.

  They are of the data as the model sees it: of standardized data where it is
  standardized.

  Args:
    model: its code is Gaussian.
    params: of the model.
    key: of the samples; each example has the same noise in every model.
    data: `[n, *features]`, float32 or uint8.
    num_samples: K.
    label: `[n]`, see `networks.given`: the bounds are on -log p(x|y); or None.

  Returns:
    The four of each example, `[n]`; and `[n, latent]`, of q(z|x): `kl`, the
    divergence of each unit from N(0, 1), and `mean`.

  References:
    Kingma and Welling, "Auto-Encoding Variational Bayes", 2014, eq. 10; Burda
    et al., "Importance Weighted Autoencoders", 2016, eq. 8.
  """
  prior = model.prior(params)  # p(z)

  def log_normalizer(x: Array) -> Array | float:
    if not model.missing:
      return model.log_normalizer
    axes = tuple(range(1, x.ndim))
    return model.log_normalizer * jnp.mean(~jnp.isnan(x), axis=axes)

  def of_block(block: tuple[Array, Array, Array | None]) -> dict[str, Array]:
    x, index, own = to_float(block[0]), block[1], given(model, block[2])
    q: Gaussian = own.encode(params, x)  # q(z|x)

    def add_sample(carry: tuple[Array, Array, Array], k: Array):
      log_sum, total, total_ratio = carry
      z = aggregate_posterior.sample(key, index, k, q)
      distance = model.nll(x, own.decode(params, z))
      log_likelihood = -distance - log_normalizer(x)
      log_ratio = log_ratio_to_mixture(z, q, prior)
      return (
        jnp.logaddexp(log_sum, log_likelihood - log_ratio),
        total - log_likelihood,
        total_ratio + log_ratio,
      ), None

    start = (jnp.full(len(x), -jnp.inf), jnp.zeros(len(x)), jnp.zeros(len(x)))
    (log_sum, total, total_ratio), _ = jax.lax.scan(
      add_sample, start, jnp.arange(num_samples)
    )
    reconstruction = total / num_samples
    is_mixture = len(prior.mean) > 1
    kl = total_ratio / num_samples if is_mixture else gaussian_kl(q, prior)
    return {
      "reconstruction": reconstruction,
      "kl": kl,
      "negative_elbo": reconstruction + kl,
      "nll": jnp.log(num_samples) - log_sum,
      "unit_kl": univariate_gaussian_kl(q, jax.tree.map(jnp.zeros_like, q)),
      "mean": q.mean,
    }

  values = map_batches(of_block, (data, jnp.arange(len(data)), label))
  return values, {"kl": values.pop("unit_kl"), "mean": values.pop("mean")}


def active_units(variance: Array) -> Array:
  """Number of units whose posterior mean varies, `Var_x[E_q[z_j]] > 0.01`.

  Args:
    variance: of the posterior mean of each unit over examples, `[latent]`.

  Returns:
    A scalar.

  References:
    Burda et al., "Importance Weighted Autoencoders", 2016, section 5.1.
  """
  return jnp.sum(variance > _ACTIVE)
