"""The plain autoencoder."""

import jax.numpy as jnp

from ae_jax.types import Array, Autoencoder, Key, Params, Terms


def autoencoder(
  model: Autoencoder, params: Params, key: Key, batch: Array
) -> tuple[Array, Terms]:
  """`d(x, g(f(x)))`, averaged over the batch.

  Args:
    model: the functions f and g, with d = -log p(x|z).
    params: of the model.
    key: not used; this objective is deterministic.
    batch: x `[batch, *features]`.

  Returns:
    The loss in nats, and the term `reconstruction`.

  References:
    Rumelhart, Hinton and Williams, "Learning Internal Representations by
    Error Propagation", 1986; Hinton and Salakhutdinov, "Reducing the
    Dimensionality of Data with Neural Networks", 2006.
  """
  del key
  z = model.encode(params, batch)
  reconstruction = jnp.mean(model.nll(batch, model.decode(params, z)))
  return reconstruction, {"reconstruction": reconstruction}
