"""How well a trained model reconstructs, beside PCA."""

import jax
import jax.numpy as jnp
import numpy as np

from ae_jax import pca
from ae_jax.data import to_float
from ae_jax.types import Array, Autoencoder, Gaussian, Params


def squared_error(
  model: Autoencoder, params: Params, data: Array, *, block_size: int = 256
) -> Array:
  """Squared error `||x - x~||^2`, summed over features, mean over examples.

  A stochastic encoder is read at its mean. The data are walked in blocks, so
  that memory does not grow with them.

  Args:
    model: the autoencoder.
    params: of the model.
    data: `[n, *features]`, float32 or uint8.
    block_size: examples held at once.

  Returns:
    A scalar, in squared units of the data.
  """

  def one(example: Array) -> Array:
    x = to_float(example)
    code = model.encode(params, x)
    z = code.mean if isinstance(code, Gaussian) else code
    return jnp.sum((x - model.mean(model.decode(params, z))) ** 2)

  return jnp.mean(jax.lax.map(one, data, batch_size=min(block_size, len(data))))


def pca_squared_errors(
  train: np.ndarray, test: np.ndarray
) -> dict[str, np.ndarray]:
  """Squared errors of a PCA of the training data, for every latent size.

  Args:
    train: `[n, *features]`, float32 or uint8.
    test: `[m, *features]`.

  Returns:
    "train" and "test" -> `[r + 1]`, the error with 0 ... r components in the
    units of `squared_error`.
  """
  flat = {
    name: to_float(x).reshape(len(x), -1)
    for name, x in (("train", train), ("test", test))
  }
  fitted = pca.fit(flat["train"])
  return {name: pca.squared_errors(fitted, x) for name, x in flat.items()}
