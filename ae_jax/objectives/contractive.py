"""The contractive autoencoder."""

import functools
import math

import jax.numpy as jnp

from ae_jax import penalties
from ae_jax.declarations import objective
from ae_jax.types import Array, Autoencoder, Key, Params, Terms, UsageError

ESTIMATORS = ("exact", "hutchinson", "subset")


@objective(ranges={"strength": (0.0, math.inf), "num_samples": (1, math.inf)})
def contractive(
  model: Autoencoder,
  params: Params,
  key: Key,
  batch: Array,
  *,
  strength: float = 0.1,
  estimator: str = "exact",
  num_samples: int = 1,
) -> tuple[Array, Terms]:
  """`d(x, g(f(x))) + strength * ||df/dx||_F^2`, averaged over the batch.

  The penalty alone falls where the code becomes smaller and the decoder larger,
  for nothing. The paper ties their weights, as the network does with
  `tied=True`; a sigmoid code has a scale of its own. To compare models take the
  metric `relative_jacobian_norm`, which no scale of the code changes.

  Args:
    model: the functions f and g, with d = -log p(x|z).
    params: of the model.
    key: of the estimator.
    batch: x `[batch, *features]`.
    strength: weight of the penalty, at least 0.
    estimator: "exact", in the cheapest form that the network has; or, unbiased
      and for large codes cheaper, "hutchinson" (`penalties.hutchinson`) or
      "subset" (exact on `penalties.random_part`); variances: see these.
    num_samples: of "hutchinson" the probes of each example, of "subset" the
      examples of the batch.

  Returns:
    The loss in nats, and the terms `reconstruction` and `penalty` (unweighted).

  Raises:
    UsageError: there is no such estimator.

  References:
    Rifai et al., "Contractive Auto-Encoders: Explicit Invariance During
    Feature Extraction", 2011, eq. 7.
  """
  if estimator not in ESTIMATORS:
    raise UsageError(
      f"estimator is {estimator!r}; allowed: {', '.join(ESTIMATORS)}"
    )
  encode = functools.partial(model.encode, params)
  exact = functools.partial(model.encode_and_jacobian_norm, params)
  if estimator == "exact":
    z, norm = exact(batch)
  elif estimator == "hutchinson":
    z, norm = penalties.hutchinson(encode, key, batch, num_samples)
  else:
    z = encode(batch)
    _, norm = exact(penalties.random_part(key, batch, num_samples))
  reconstruction = jnp.mean(model.nll(batch, model.decode(params, z)))
  penalty = jnp.mean(norm)
  loss = reconstruction + strength * penalty
  return loss, {"reconstruction": reconstruction, "penalty": penalty}
