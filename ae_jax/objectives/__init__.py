"""The table of objectives: each a pure function, see `types.Objective`.

What else the rest of the package needs to know of one it declares itself, see
`declarations.ObjectiveDeclaration`.
"""

from ae_jax.objectives.autoencoder import autoencoder
from ae_jax.objectives.conditional_vae import conditional_vae
from ae_jax.objectives.contractive import contractive
from ae_jax.objectives.denoising import denoising
from ae_jax.objectives.disentangled import beta_tcvae, capacity_vae, dip_vae
from ae_jax.objectives.factor_vae import factor_vae
from ae_jax.objectives.fsq import fsq
from ae_jax.objectives.iwae import iwae
from ae_jax.objectives.k_sparse import k_sparse
from ae_jax.objectives.layerwise import layerwise
from ae_jax.objectives.rae import rae
from ae_jax.objectives.sparse import sparse, sparse_kl, sparse_student_t
from ae_jax.objectives.vae import vae
from ae_jax.objectives.vamp_vae import vamp_vae
from ae_jax.objectives.vq_vae import vq_vae
from ae_jax.objectives.wae import info_vae, wae_mmd
from ae_jax.objectives.weakly_supervised import ada_gvae, gvae
from ae_jax.types import Objective

OBJECTIVES: dict[str, Objective] = {
  "autoencoder": autoencoder,
  "sparse": sparse,
  "sparse_kl": sparse_kl,
  "sparse_student_t": sparse_student_t,
  "k_sparse": k_sparse,
  "contractive": contractive,
  "denoising": denoising,
  "layerwise": layerwise,
  "rae": rae,
  "vq_vae": vq_vae,
  "fsq": fsq,
  "vae": vae,
  "iwae": iwae,
  "capacity_vae": capacity_vae,
  "beta_tcvae": beta_tcvae,
  "factor_vae": factor_vae,
  "dip_vae": dip_vae,
  "info_vae": info_vae,
  "wae_mmd": wae_mmd,
  "vamp_vae": vamp_vae,
  "conditional_vae": conditional_vae,
  "ada_gvae": ada_gvae,
  "gvae": gvae,
}
