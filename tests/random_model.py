"""Digits, and a model of them that is not trained, for the tests of metrics."""

import jax
import numpy as np
from sklearn.datasets import load_digits

from ae_jax.data import Dataset
from ae_jax.networks import Spec, autoencoder

X, LABELS = load_digits(return_X_y=True)
X = (X / 16).astype(np.float32)
DIGITS = Dataset(
  "digits",
  *(X[:600], X[600:800]),
  *(LABELS[:600], LABELS[600:800]),
  *(X[800:1000], LABELS[800:1000]),
)


def random_model(**fields):
  spec = Spec((64,), **{"latent_size": 5, "widths": (16,)} | fields)
  model = autoencoder(spec)
  params = model.init(jax.random.key(0))
  # Weights large enough for x~ to leave [0, 1] and for units to differ.
  return spec, model, jax.tree.map(lambda p: 2 * p, params)
