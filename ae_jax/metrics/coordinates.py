"""The coordinates of a code in which its rounding is measured."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ae_jax.metrics.batching import evenly_spaced, map_batches
from ae_jax.metrics.codes import encode
from ae_jax.metrics.columns import NUM_JACOBIANS
from ae_jax.metrics.eval_data import EvalData
from ae_jax.metrics.over_trials import over_trials
from ae_jax.networks import given
from ae_jax.types import Array, Autoencoder, Params

_SINGULAR = 1e-12  # of the largest eigenvalue: below are float32's errors


class Coordinates(NamedTuple):
  """Linear coordinates y of codes z, `y = (z - mean) A`, `z = mean + y B`.

  Attributes:
    mean: `[latent]`.
    forward: A, `[latent, latent]`, float64; a direction that the codes or the
      decoder do not use has a column of zeros.
    backward: B, its inverse on the others.
  """

  mean: np.ndarray
  forward: np.ndarray
  backward: np.ndarray

  def of(self, z: np.ndarray) -> np.ndarray:
    """Coordinates of codes `[n, latent]`."""
    return (z - self.mean) @ self.forward

  def codes(self, y: np.ndarray) -> np.ndarray:
    """Codes of coordinates `[n, latent]`, float32."""
    return (self.mean + y @ self.backward).astype(np.float32)


@over_trials
def decoder_gram(model: Autoencoder, params: Params, data: EvalData) -> Array:
  """`E[J^T J]`, J = dx~/dz, at the codes of some train examples.

  To first order an error e of a code makes a squared error `e^T E[J^T J] e`.

  Returns:
    `[latent, latent]`, in squared units of the data by those of the code.
  """
  some = evenly_spaced(len(data.train), NUM_JACOBIANS)
  x, label = jax.tree.map(lambda a: a[some], (data.train, data.train_label))
  z = encode(model, params, x, label)
  latent = z.shape[1]

  def gram(z: Array, label: Array | None) -> Array:
    own = given(model, jax.tree.map(lambda y: y[None], label))

    def mean_of(z: Array) -> Array:
      return model.mean(own.decode(params, z[None]))[0]

    num_outputs = jax.eval_shape(mean_of, z).size
    derivative = jax.jacfwd if latent < num_outputs else jax.jacrev
    j = derivative(mean_of)(z).reshape(num_outputs, latent)
    return j.T @ j

  grams = map_batches(
    lambda block: jax.vmap(gram)(*block), (z, label), batch_size=16
  )
  return jnp.mean(grams, axis=0)


def of_codes(train: np.ndarray, gram: np.ndarray) -> Coordinates:
  """The principal components of what the decoder makes of the codes.

  With C the covariance of the codes and G the decoder's `E[J^T J]`: the
  coordinates are uncorrelated, and an error of a size in any of them makes the
  same squared error. Any other affine coordinates of the codes, with the
  decoder that goes with them, lead to the same ones, up to signs. Those of a
  PCA are its own. Rounding them to a lattice is the best of scalar quantizers
  of a Gaussian at a high rate.

  Args:
    train: finite codes `[n, latent]`.
    gram: G, `[latent, latent]`.

  References:
    Gersho and Gray, "Vector Quantization and Signal Compression", 1992,
    section 8.6 (transform coding).
  """
  z = train.astype(np.float64)
  mean, deviation = z.mean(axis=0), z.std(axis=0)
  unit = np.where(deviation > 0, deviation, 1.0)
  z = (z - mean) / unit
  variances, axes = np.linalg.eigh(z.T @ z / len(z))
  root, inverse = _roots(variances)
  whitened = axes * inverse  # the codes by it have the covariance I
  shaped = unit[:, None] * axes * root
  sensitivities, turned = np.linalg.eigh(
    shaped.T @ gram.astype(np.float64) @ shaped
  )
  root, inverse = _roots(sensitivities[::-1])
  turned = turned[:, ::-1]
  return Coordinates(
    mean,
    whitened / unit[:, None] @ turned * root,
    inverse[:, None] * turned.T @ shaped.T,
  )


def _roots(eigenvalues: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
  """Roots and their inverses; 0 where an eigenvalue is but rounding."""
  kept = eigenvalues > _SINGULAR * np.max(eigenvalues, initial=0.0)
  roots = np.sqrt(np.where(kept, eigenvalues, 0.0))
  return roots, np.divide(1.0, roots, out=np.zeros_like(roots), where=kept)
