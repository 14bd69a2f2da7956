"""What code units do: their activations and the encoder's Jacobian."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from ae_jax.data import to_float
from ae_jax.metrics.batching import map_batches
from ae_jax.metrics.codes import encode, nan_unless_finite
from ae_jax.metrics.eval_data import EvalData
from ae_jax.metrics.over_trials import Columns, Units, over_trials
from ae_jax.metrics.reconstruction import codes
from ae_jax.metrics.registry import NUM_JACOBIANS
from ae_jax.types import Array, Autoencoder, Params

_ACTIVE = 1e-3
_DEAD = 1e-6


@functools.partial(over_trials, parallel=False)  # LAPACK's eigvalsh
def measure(
  model: Autoencoder, params: Params, data: EvalData
) -> tuple[Columns, Units]:
  """The metric group "activity"."""
  z = encode(model, params, data.test)
  columns, units = activations(z, model.latent_mask)
  number = min(len(data.test), NUM_JACOBIANS)
  # Evenly spaced: the examples may be sorted by class.
  some = np.linspace(0, len(data.test) - 1, number).astype(int)
  norm, values = jacobian(model, params, data.test[some])
  columns = nan_unless_finite(z, columns) | {"jacobian_norm": norm}
  return columns, units | {"singular_value": values}


def activations(z: Array, latent_mask: Array) -> tuple[dict, dict]:
  """Statistics of activations.

  Args:
    z: codes `[n, latent]`.
    latent_mask: `[latent]` of 0/1.

  Returns:
    Scalars, of the units in the mask: `code_mean`; `active_share`, the mean
    share of activations above 1e-3 in magnitude (L0 / latent);
    `dead_units`, how many units have a standard deviation below 1e-6 or 1e-6
    of their mean. And, `[latent]`, `mean`, `std` and `active_share` of each
    unit.
  """
  units = {
    "mean": jnp.mean(z, axis=0),
    "std": jnp.std(z, axis=0),
    "active_share": jnp.mean(
      (jnp.abs(z) > _ACTIVE).astype(jnp.float32), axis=0
    ),
  }
  size = jnp.sum(latent_mask)
  constant = units["std"] <= _DEAD * jnp.maximum(jnp.abs(units["mean"]), 1.0)
  return {
    "code_mean": jnp.sum(units["mean"]) / size,
    "active_share": jnp.sum(units["active_share"]) / size,
    "dead_units": jnp.sum(latent_mask * constant),
  }, units


def jacobian(
  model: Autoencoder, params: Params, data: Array
) -> tuple[Array, Array]:
  """The encoder's Jacobian J = df/dx: its norm and singular values.

  The singular values are roots of the eigenvalues of the smaller one of
  `J J^T` and `J^T J`, in float32: right to about 3e-4 of the largest.

  Args:
    model: the autoencoder; of a Gaussian code the mean is taken.
    params: of the model.
    data: `[n, *features]`, float32 or uint8.

  Returns:
    `||J||_F`, mean over examples, a scalar; and the singular values by falling
    size, mean over examples, `[min(latent, d)]`. Both in units of the code by
    units of the data.

  References:
    Rifai et al., "Contractive Auto-Encoders", 2011, section 5.3.
  """
  latent, d = len(model.latent_mask), data[0].size
  derivative = jax.jacrev if latent < d else jax.jacfwd

  def of_example(x: Array) -> tuple[Array, Array]:
    j = derivative(lambda x: codes(model, params, x))(x).reshape(latent, d)
    gram = j @ j.T if latent < d else j.T @ j
    eigenvalues = jnp.linalg.eigvalsh(gram)[::-1]
    return jnp.linalg.norm(j), jnp.sqrt(jnp.maximum(eigenvalues, 0.0))

  norms, values = map_batches(
    lambda x: jax.vmap(of_example)(to_float(x)), data, batch_size=16
  )
  return jnp.mean(norms), jnp.mean(values, axis=0)
