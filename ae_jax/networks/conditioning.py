"""A model that is given the class of each example."""

import jax

from ae_jax.types import Array, Autoencoder, Gaussian, Params


def given(model: Autoencoder, label: Array | None) -> Autoencoder:
  """The model of examples of known classes.

  Args:
    model: of all classes.
    label: `[n]`, integers, -1 where a class is not known; or None.

  Returns:
    `encode` and `decode` of n examples, each with the parameters of its class,
    where the objective declares `condition`; otherwise, and for None, the model
    as it is.
  """
  condition = model.condition
  if condition is None or label is None:
    return model

  def encode(params: Params, x: Array) -> Array | Gaussian:
    return jax.vmap(lambda y, x: model.encode(condition(params, y), x))(
      label, x
    )

  def decode(params: Params, z: Array) -> Array:
    return jax.vmap(lambda y, z: model.decode(condition(params, y), z))(
      label, z
    )

  return model._replace(encode=encode, decode=decode)
