"""The denoising autoencoder."""

import math
from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp

from ae_jax.corruptions import CORRUPTIONS
from ae_jax.declarations import objective
from ae_jax.types import Array, Autoencoder, Key, Params, Terms, UsageError


def _is_probability(settings: Mapping[str, Any]) -> None:
  """Raises UsageError at a probability above 1."""
  noise, corruption = settings["noise"], settings["corruption"]
  if corruption != "gaussian" and noise > 1:
    raise UsageError(
      f"noise is a probability where corruption is {corruption}: at most 1; got"
      f" {noise}"
    )


@objective(check=_is_probability, ranges={"noise": (0.0, math.inf)})
def denoising(
  model: Autoencoder,
  params: Params,
  key: Key,
  batch: Array,
  *,
  noise: float = 0.1,
  corruption: str = "gaussian",
) -> tuple[Array, Terms]:
  """`d(x, g(f(x_noisy)))`, x_noisy ~ q(. | x): the target is the clean x.

  Args:
    model: the functions f and g, with d = -log p(x|z).
    params: of the model.
    key: of the corruption.
    batch: clean x `[batch, *features]`.
    noise: the variance of Gaussian noise, or the probability that masking or
      salt-and-pepper noise strikes a feature.
    corruption: "gaussian", "masking" or "salt_and_pepper".

  Returns:
    The loss in nats, and the term `reconstruction` (of the clean x).

  Raises:
    UsageError: there is no such corruption.

  References:
    Vincent et al., "Extracting and Composing Robust Features with Denoising
    Autoencoders", 2008; "Stacked Denoising Autoencoders", 2010, section 3.
  """
  if corruption not in CORRUPTIONS:
    raise UsageError(
      f"corruption is {corruption!r}; allowed: {', '.join(CORRUPTIONS)}"
    )
  noisy = CORRUPTIONS[corruption](key, batch, noise)
  if model.missing:  # what is not there stays so
    noisy = jnp.where(jnp.isnan(batch), batch, noisy)
  z = model.encode(params, noisy)
  reconstruction = jnp.mean(model.nll(batch, model.decode(params, z)))
  return reconstruction, {"reconstruction": reconstruction}
