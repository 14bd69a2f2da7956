"""A trained autoencoder as functions on arrays of any length."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

from ae_jax.data import Standardization, to_float
from ae_jax.networks import Spec, autoencoder
from ae_jax.types import Array, Autoencoder, Gaussian, Params, UsageError

_BATCH_SIZE = 1024


class Trained(NamedTuple):
  """One trained trial.

  `encode`, `decode`, `reconstruct` and `sample` take and give NumPy arrays in
  the units of the data that it was trained on (bytes are read as x / 255,
  standardisation is applied and undone), and walk them in batches, so that any
  number of rows fits in memory.

  Attributes:
    row: its line of the table, see `sweep.rows`.
    history: term -> `[num_epochs]`, means over each epoch.
    spec: of its network, of its own latent size.
    model: the pure functions.
    params: of the model.
    standardization: what its data was standardised with, or None.
  """

  row: dict[str, Any]
  history: dict[str, np.ndarray]
  spec: Spec
  model: Autoencoder
  params: Params
  standardization: Standardization | None = None

  def encode(self, x: np.ndarray) -> np.ndarray:
    """Codes z = f(x); of a Gaussian code the mean.

    Args:
      x: `[n, *features]`, numbers, or bytes that stand for x / 255 (zeros and
        ones for themselves).

    Returns:
      `[n, latent]`, float32.

    Raises:
      UsageError: x has another shape or holds no numbers.
    """
    x = _check(x, self.spec.features, "data")
    if self.standardization is not None:
      x = self.standardization.apply(x)
    return _in_batches(_encode, self.spec, self.params, x)

  def decode(self, z: np.ndarray) -> np.ndarray:
    """Means x~ of p(x|z), in the units of the data.

    Args:
      z: codes `[n, latent]`.

    Returns:
      `[n, *features]`, float32.

    Raises:
      UsageError: z has another shape or holds no numbers.
    """
    z = _check(z, (self.spec.latent_size,), "codes")
    x = _in_batches(_decode, self.spec, self.params, z)
    return x if self.standardization is None else self.standardization.undo(x)

  def reconstruct(self, x: np.ndarray) -> np.ndarray:
    """Reconstructions x~ = g(f(x)), `[n, *features]`; see `encode`."""
    return self.decode(self.encode(x))

  def sample(self, num_samples: int, seed: int = 0) -> np.ndarray:
    """Means of p(x|z) at codes from the prior, z ~ N(0, I).

    Args:
      num_samples: n.
      seed: of the codes.

    Returns:
      `[n, *features]`, float32.

    Raises:
      UsageError: the code has no prior: the objective is not a VAE.
    """
    if self.spec.code != "gaussian":
      raise UsageError(
        f"objective {self.row['objective']} has no prior to sample from; one"
        " with a Gaussian code, such as vae, has"
      )
    shape = (num_samples, self.spec.latent_size)
    z = jax.random.normal(jax.random.key(seed), shape)
    return self.decode(np.asarray(z))


@functools.partial(jax.jit, static_argnums=0)
def _encode(spec: Spec, params: Params, x: Array) -> Array:
  code = autoencoder(spec).encode(params, to_float(x))
  return code.mean if isinstance(code, Gaussian) else code


@functools.partial(jax.jit, static_argnums=0)
def _decode(spec: Spec, params: Params, z: Array) -> Array:
  model = autoencoder(spec)
  return model.mean(model.decode(params, z))


def _in_batches(
  function: Callable[..., Array],
  spec: Spec,
  params: Params,
  x: np.ndarray,
) -> np.ndarray:
  """Applies a function to `[n, ...]`, a power of two of rows at a time."""
  size = min(_BATCH_SIZE, 1 << max(len(x) - 1, 0).bit_length())
  results = []
  for start in range(0, max(len(x), 1), size):
    batch = x[start : start + size]
    padding = [(0, size - len(batch))] + [(0, 0)] * (x.ndim - 1)
    result = function(spec, params, np.pad(batch, padding))
    results.append(np.asarray(result)[: len(batch)])
  return np.concatenate(results)


def _check(x: Any, trailing: tuple[int, ...], what: str) -> np.ndarray:
  x = np.asarray(x)
  if x.shape[1:] != trailing or x.ndim == 0:
    wanted = ", ".join(map(str, ("n", *trailing)))
    raise UsageError(f"the {what} must have shape [{wanted}]; got {x.shape}")
  if x.dtype.kind not in "buif":
    raise UsageError(f"the {what} must be numbers; got type {x.dtype}")
  are_bytes = x.dtype == np.uint8 and x.max(initial=0) > 1  # as `data` has it
  return x if are_bytes else x.astype(np.float32)
