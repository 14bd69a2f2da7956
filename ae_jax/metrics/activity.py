"""What code units do: their activations and the encoder's Jacobian."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from ae_jax.data import to_float
from ae_jax.metrics.batching import evenly_spaced, map_batches
from ae_jax.metrics.codes import encode, nan_unless_finite
from ae_jax.metrics.columns import NUM_JACOBIANS
from ae_jax.metrics.eval_data import EvalData
from ae_jax.metrics.over_trials import Columns, Units, over_trials
from ae_jax.metrics.reconstruction import codes
from ae_jax.networks import given
from ae_jax.types import Array, Autoencoder, Params, Scalar

_ACTIVE = 1e-3  # of a unit's standard deviation
_DEAD = 1e-6


@functools.partial(over_trials, parallel=False)  # LAPACK's eigvalsh
def measure(
  model: Autoencoder, params: Params, data: EvalData
) -> tuple[Columns, Units]:
  """The metric group "activity"."""
  examples = data.held_out, data.held_out_label
  z = encode(model, params, *examples)
  chosen = np.concatenate(
    [
      rows.start + evenly_spaced(rows.stop - rows.start, NUM_JACOBIANS)
      for rows in data.parts.values()
    ]
  )
  norms, values = jacobian(
    model, params, *jax.tree.map(lambda a: a[chosen], examples)
  )
  columns: Columns = {}
  units: Units = {}
  for part, rows in data.parts.items():
    found, own = activations(z[rows], model.latent_mask)
    of_part = (rows.start <= chosen) & (chosen < rows.stop)
    norm = jnp.mean(norms[of_part])
    spread = jnp.sqrt(jnp.sum(jnp.var(z[rows], axis=0)))
    found = nan_unless_finite(z[rows], found) | {
      "jacobian_norm": norm,
      "relative_jacobian_norm": norm / jnp.where(spread > 0, spread, 1.0),
    }
    columns |= {f"{part}_{name}": value for name, value in found.items()}
    units = units or own | {  # of the first part
      "singular_value": jnp.mean(values[of_part], axis=0)
    }
  return columns, units


def activations(z: Array, latent_mask: Array) -> tuple[dict, dict]:
  """Statistics of activations.

  Args:
    z: codes `[n, latent]`.
    latent_mask: `[latent]` of 0/1.

  Returns:
    Scalars, of the units in the mask, of which all but the first are the same
    at any scale of the code: `code_mean`; `active_share`, the mean share of
    activations above 1e-3 of the standard deviation of their unit in magnitude
    (L0 / latent); `dead_units`, how many have a standard deviation of at most
    1e-6 of their mean, or of the largest one; `hoyer_sparsity`. And,
    `[latent]`, `mean`, `std` and `active_share` of each unit.
  """
  mean, std = jnp.mean(z, axis=0), jnp.std(z, axis=0)
  dead = std <= _DEAD * jnp.maximum(jnp.abs(mean), jnp.max(std))
  active = (jnp.abs(z) > _ACTIVE * std[None]) & ~dead[None]
  share = jnp.mean(active.astype(jnp.float32), axis=0)
  size = jnp.sum(latent_mask)
  scaled = jnp.where(dead[None], 0.0, z / jnp.where(dead, 1.0, std)[None])
  return {
    "code_mean": jnp.sum(mean) / size,
    "active_share": jnp.sum(share) / size,
    "dead_units": jnp.sum(latent_mask * dead),
    "hoyer_sparsity": hoyer_sparsity(scaled, size),
  }, {"mean": mean, "std": std, "active_share": share}


def hoyer_sparsity(z: Array, size: Scalar) -> Array:
  """`(sqrt(d) - |z|_1 / |z|_2) / (sqrt(d) - 1)`, mean over codes.

  Args:
    z: codes `[n, latent]`, units by their standard deviations.
    size: d, how many units there are; others are 0.

  Returns:
    A scalar: 1 where one unit is not 0, 0 where all are of one size. Codes
    that are 0 are left out; 0 where all are, or d is 1.

  References:
    Hoyer, "Non-negative Matrix Factorization with Sparseness Constraints",
    2004; Hurley and Rickard, "Comparing Measures of Sparsity", 2009; of units
    by their deviations: Mathieu et al., "Disentangling Disentanglement in
    Variational Autoencoders", 2019, eq. 8.
  """
  l1, l2 = jnp.sum(jnp.abs(z), axis=1), jnp.linalg.norm(z, axis=1)
  root = jnp.sqrt(jnp.asarray(size, z.dtype))
  counts = l2 > 0
  of_each = (root - l1 / jnp.where(counts, l2, 1.0)) / jnp.maximum(
    root - 1, jnp.finfo(z.dtype).eps
  )
  number = jnp.sum(counts & (root > 1))
  return jnp.sum(jnp.where(counts & (root > 1), of_each, 0.0)) / jnp.maximum(
    number, 1
  )


def jacobian(
  model: Autoencoder,
  params: Params,
  data: Array,
  label: Array | None = None,
) -> tuple[Array, Array]:
  """The encoder's Jacobian J = df/dx: its norm and singular values.

  The singular values are roots of the eigenvalues of the smaller one of
  `J J^T` and `J^T J`, in float32: right to about 3e-4 of the largest.

  Args:
    model: the autoencoder; of a Gaussian code the mean is taken.
    params: of the model.
    data: `[n, *features]`, float32 or uint8.
    label: `[n]`, see `networks.given`; or None.

  Returns:
    `||J||_F` of each example, `[n]`; and its singular values by falling size,
    `[n, min(latent, d)]`. Both in units of the code by units of the data.

  References:
    Rifai et al., "Contractive Auto-Encoders", 2011, section 5.3.
  """
  latent, d = len(model.latent_mask), data[0].size
  derivative = jax.jacrev if latent < d else jax.jacfwd

  def of_example(x: Array, label: Array | None) -> tuple[Array, Array]:
    own = given(model, jax.tree.map(lambda y: y[None], label))
    j = derivative(lambda x: codes(own, params, x[None])[0])(x)
    j = j.reshape(latent, d)
    gram = j @ j.T if latent < d else j.T @ j
    eigenvalues = jnp.linalg.eigvalsh(gram)[::-1]
    return jnp.linalg.norm(j), jnp.sqrt(jnp.maximum(eigenvalues, 0.0))

  return map_batches(
    lambda block: jax.vmap(of_example)(to_float(block[0]), block[1]),
    (data, label),
    batch_size=16,
  )
