"""The table of objectives: each a pure function, see `types.Objective`."""

from ae_jax.objectives.autoencoder import autoencoder
from ae_jax.objectives.contractive import contractive
from ae_jax.objectives.denoising import denoising
from ae_jax.objectives.sparse import sparse, sparse_kl, sparse_student_t
from ae_jax.objectives.vae import vae
from ae_jax.types import Objective

OBJECTIVES: dict[str, Objective] = {
  "autoencoder": autoencoder,
  "sparse": sparse,
  "sparse_kl": sparse_kl,
  "sparse_student_t": sparse_student_t,
  "contractive": contractive,
  "denoising": denoising,
  "vae": vae,
}
