"""What the codes of all examples, taken together, say of a Gaussian code."""

import jax
import jax.numpy as jnp
import numpy as np

from ae_jax.data import to_float
from ae_jax.divergences import gaussian_kl, log_ratio_to_mixture
from ae_jax.metrics.batching import evenly_spaced, map_batches
from ae_jax.metrics.codes import nan_unless_finite
from ae_jax.metrics.columns import NUM_COMPONENTS
from ae_jax.metrics.eval_data import EvalData
from ae_jax.metrics.over_trials import Columns
from ae_jax.networks import given
from ae_jax.types import Array, Autoencoder, Gaussian, Key, Params

_NUM_SAMPLES = 1  # of each example
_BLOCK = 64  # samples that are compared with all components at once


def columns(model: Autoencoder, params: Params, data: EvalData) -> Columns:
  """The two parts of the divergence of q(z|x) from p(z), of each held-out part.

  Of at most `NUM_COMPONENTS` examples of the part, evenly spaced, one sample
  each; NaN where they are not finite.

  Args:
    model: its code is Gaussian.
    params: of the model.
    data: a conditional model is told the class of each example.

  Returns:
    `PART_mutual_information_nats` and `PART_marginal_kl_nats`, scalars.
  """
  found: Columns = {}
  for part, rows in data.parts.items():
    of_part = np.arange(len(data.held_out))[rows]
    some = of_part[evenly_spaced(len(of_part), NUM_COMPONENTS)]
    q = map_batches(
      lambda block: given(model, block[1]).encode(params, to_float(block[0])),
      jax.tree.map(
        lambda a, some=some: a[some], (data.held_out, data.held_out_label)
      ),
    )
    information, marginal = mutual_information_and_marginal_kl(
      jax.random.key(0), q, model.prior(params), _NUM_SAMPLES
    )
    values = {
      f"{part}_mutual_information_nats": information,
      f"{part}_marginal_kl_nats": marginal,
    }
    found |= nan_unless_finite((q, values), values)
  return found


def sample(key: Key, index: Array, k: Array, q: Gaussian) -> Array:
  """The k-th sample of q(z|x), `[n, latent]`.

  Args:
    key: of all samples.
    index: of each example, `[n]`: it has the same noise in every model.
    k: which one.
    q: mean and log-variance of each example, each `[n, latent]`.
  """
  keys = jax.vmap(lambda i: jax.random.fold_in(jax.random.fold_in(key, i), k))(
    index
  )
  noise = jax.vmap(
    lambda key: jax.random.normal(key, q.mean.shape[1:], q.mean.dtype)
  )(keys)
  return q.mean + jnp.exp(0.5 * q.log_variance) * noise


def mutual_information_and_marginal_kl(
  key: Key, q: Gaussian, prior: Gaussian, num_samples: int
) -> tuple[Array, Array]:
  """The divergence of codes from the prior, in two parts, in nats.

  With the aggregate posterior `q(z) = 1/N sum_n q(z|x_n)` and n uniform,

  `1/N sum_n KL(q(z|x_n) || p(z)) = I(x; z) + KL(q(z) || p(z))`,
  `I(x; z) = 1/N sum_n KL(q(z|x_n) || q(z))`.

  I is at most log N, whatever the codes: a value near log N says that the codes
  of N examples do not overlap; what else they tell is in the other part, which
  is that of the mixture of N, not of all data. I is estimated
  with z ~ q(z|x_n); `KL(q(z) || p(z))` is the mean divergence less I. That mean
  is in closed form, of a prior that is a mixture by the same samples. Units in
  which all examples are N(0, 1) add nothing: a masked unit does not count.
  Noise can make either a little negative.

  Args:
    key: of the samples; each example has the same noise in every model.
    q: mean and log-variance of each example, each `[N, latent]`.
    prior: a mixture of equal weights, each field `[components, latent]`.
    num_samples: of each example.

  Returns:
    I(x; z) and KL(q(z) || p(z)), scalars.

  References:
    Hoffman and Johnson, "ELBO surgery: yet another way to carve up the
    variational evidence lower bound", 2016, section 2.
  """

  def of_block(block: tuple[Array, Gaussian]) -> tuple[Array, Array]:
    index, own = block

    def of_sample(k: Array) -> tuple[Array, Array]:
      z = sample(key, index, k, own)
      return (
        log_ratio_to_mixture(z, own, q),
        log_ratio_to_mixture(z, own, prior),
      )

    ratios = jax.lax.map(of_sample, jnp.arange(num_samples))
    return jax.tree.map(lambda ratio: jnp.mean(ratio, axis=0), ratios)

  to_q, to_prior = map_batches(of_block, (jnp.arange(len(q.mean)), q), _BLOCK)
  kl = to_prior if len(prior.mean) > 1 else gaussian_kl(q, prior)
  information = jnp.mean(to_q)
  return information, jnp.mean(kl) - information
