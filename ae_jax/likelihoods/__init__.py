"""Likelihoods p(x|z), each with its negative logarithm.

The negative log-likelihoods are in nats and of each feature, those of variance
1 up to a constant; `Likelihood.nll` sums them over the features, and never over
the batch.
"""

from collections.abc import Callable

from ae_jax.likelihoods.columns import columns
from ae_jax.likelihoods.counts import (
  multinomial,
  negative_binomial,
  poisson,
  zero_inflated_negative_binomial,
)
from ae_jax.likelihoods.likelihood import Likelihood
from ae_jax.likelihoods.location_scale import (
  calibrated_gaussian,
  fixed_gaussian,
  gaussian,
  half_squared_error,
  laplace,
  sigmoid_gaussian,
  student_t,
)
from ae_jax.likelihoods.logistic_mixture import (
  NUM_LEVELS,
  NUM_LOGISTICS,
  logistic_mixture,
  logistic_mixture_masses,
  logistic_mixture_mean,
)
from ae_jax.likelihoods.unit_interval import (
  bernoulli,
  bernoulli_cross_entropy,
  binomial,
  categorical,
  continuous_bernoulli,
)
from ae_jax.types import Array

LIKELIHOODS: dict[str, Callable[..., Array]] = {
  "gaussian": gaussian,
  "calibrated_gaussian": calibrated_gaussian,
  "sigmoid_gaussian": sigmoid_gaussian,
  "bernoulli": bernoulli,
  "logistic_mixture": logistic_mixture,
  "laplace": laplace,
  "student_t": student_t,
  "continuous_bernoulli": continuous_bernoulli,
  "binomial": binomial,
  "categorical": categorical,
  "multinomial": multinomial,
  "poisson": poisson,
  "negative_binomial": negative_binomial,
  "zero_inflated_negative_binomial": zero_inflated_negative_binomial,
  "columns": columns,
  "fixed_gaussian": fixed_gaussian,
}

__all__ = [
  "LIKELIHOODS",
  "NUM_LEVELS",
  "NUM_LOGISTICS",
  "Likelihood",
  "bernoulli",
  "bernoulli_cross_entropy",
  "binomial",
  "calibrated_gaussian",
  "categorical",
  "columns",
  "continuous_bernoulli",
  "default_for",
  "fixed_gaussian",
  "gaussian",
  "half_squared_error",
  "laplace",
  "logistic_mixture",
  "logistic_mixture_masses",
  "logistic_mixture_mean",
  "multinomial",
  "negative_binomial",
  "poisson",
  "sigmoid_gaussian",
  "student_t",
  "zero_inflated_negative_binomial",
]


def default_for(code: str) -> str:
  """The likelihood of a trial that names none, by its code.

  A Gaussian code weighs errors against a divergence, which takes a variance
  that fits the data; otherwise it is the squared error.
  """
  return "calibrated_gaussian" if code == "gaussian" else "gaussian"
