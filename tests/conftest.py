"""Settings for every test."""

import jax

# [batch] + [latent] must not become a matrix by accident.
jax.config.update("jax_numpy_rank_promotion", "raise")
