"""The table of objectives: each a pure function, see `types.Objective`."""

import math

from ae_jax.objectives.autoencoder import autoencoder
from ae_jax.objectives.contractive import contractive
from ae_jax.objectives.denoising import denoising
from ae_jax.objectives.sparse import sparse, sparse_kl, sparse_student_t
from ae_jax.objectives.vae import vae
from ae_jax.types import Objective

# Closed ranges of their hyper-parameters, by name.
RANGES = {
  "strength": (0.0, math.inf),
  "num_samples": (1, math.inf),
  "target": (1e-6, 1 - 1e-6),
  "noise": (0.0, math.inf),
  "beta": (0.0, math.inf),
}

OBJECTIVES: dict[str, Objective] = {
  "autoencoder": autoencoder,
  "sparse": sparse,
  "sparse_kl": sparse_kl,
  "sparse_student_t": sparse_student_t,
  "contractive": contractive,
  "denoising": denoising,
  "vae": vae,
}
