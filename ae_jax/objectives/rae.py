"""The regularized autoencoder: a VAE's aims without its noise."""

import math

import jax.numpy as jnp
import optax

from ae_jax import penalties
from ae_jax.declarations import objective
from ae_jax.types import Array, Autoencoder, Key, Params, Terms, UsageError

_REGULARIZERS = ("l2", "gradient")


@objective(
  ranges={"code_weight": (0.0, math.inf), "decoder_weight": (0.0, math.inf)}
)
def rae(
  model: Autoencoder,
  params: Params,
  key: Key,
  batch: Array,
  *,
  code_weight: float = 0.01,
  decoder_weight: float = 1e-4,
  regularizer: str = "l2",
) -> tuple[Array, Terms]:
  """`d(x, g(z)) + code_weight * ||z||^2 / 2 + decoder_weight * R(g)`, z = f(x).

  R is the sum of the decoder's squared parameters ("l2"), or
  `||dg/dz||_F^2` at the codes, g(z) the mean of p(x|z) ("gradient").

  Args:
    model: the functions f and g, with d = -log p(x|z).
    params: of the model.
    key: not used; this objective is deterministic.
    batch: x `[batch, *features]`.
    code_weight: at least 0.
    decoder_weight: at least 0.
    regularizer: "l2" or "gradient"; the latter costs a tangent of the decoder
      for each unit.

  Returns:
    The loss in nats, and the terms `reconstruction`, `code_penalty` and
    `decoder_penalty` (unweighted).

  Raises:
    UsageError: there is no such regularizer.

  References:
    Ghosh et al., "From Variational to Deterministic Autoencoders", 2020,
    eq. 5 to 9.
  """
  del key
  if regularizer not in _REGULARIZERS:
    raise UsageError(
      f"regularizer is {regularizer!r}; allowed: {', '.join(_REGULARIZERS)}"
    )
  z = model.encode(params, batch)
  reconstruction = jnp.mean(model.nll(batch, model.decode(params, z)))
  code = jnp.mean(0.5 * jnp.sum(z**2, axis=-1))
  if regularizer == "l2":
    decoder = optax.tree.norm(params["decoder"], squared=True)
  else:

    def mean(z: Array) -> Array:
      return model.mean(model.decode(params, z))

    decoder = jnp.mean(penalties.contractive(mean, z))
  loss = reconstruction + code_weight * code + decoder_weight * decoder
  return loss, {
    "reconstruction": reconstruction,
    "code_penalty": code,
    "decoder_penalty": decoder,
  }
