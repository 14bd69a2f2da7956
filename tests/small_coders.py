"""Digits of two values and of bytes, and small VAEs that compress them."""

import numpy as np
from sklearn.datasets import load_digits

import ae_jax

BITS = (load_digits().images > 7).astype(np.float32)
BYTES = np.rint(load_digits().images * (255 / 16)).astype(np.uint8)
POINT = {"objective": "vae", "likelihood": "bernoulli"}
POINT |= {"latent_size": 8, "learning_rate": 3e-3, "widths": ()}


def train(x, **settings):
  (trained,) = ae_jax.run_sweep(
    [POINT | settings],
    x[:1500],
    test=x[1500:],
    metrics=["likelihood"],
    progress=False,
  )
  return trained
