"""A density of codes that is fitted once a model is trained."""

import numpy as np
from sklearn.mixture import GaussianMixture

from ae_jax.types import UsageError

NUM_COMPONENTS = 10


def sample_codes(codes: np.ndarray, num_samples: int, seed: int) -> np.ndarray:
  """Draws codes from a mixture of ten Gaussians, fitted to codes.

  With it any autoencoder generates data, also one whose code has no prior.

  Args:
    codes: `[n, latent]`, of train data.
    num_samples: how many.
    seed: of the fit and of the draws.

  Returns:
    `[num_samples, latent]`, float32.

  Raises:
    UsageError: there are fewer codes than components.

  References:
    Ghosh et al., "From Variational to Deterministic Autoencoders", 2020,
    section 4 (ex-post density estimation).
  """
  if len(codes) < NUM_COMPONENTS:
    raise UsageError(
      f"a density of {NUM_COMPONENTS} components needs as many examples; got"
      f" {len(codes)}"
    )
  mixture = GaussianMixture(NUM_COMPONENTS, random_state=seed)
  drawn, _ = mixture.fit(codes.astype(np.float64)).sample(num_samples)
  order = np.random.default_rng(seed).permutation(num_samples)
  return drawn[order].astype(np.float32)  # they come component by component
