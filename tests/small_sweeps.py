"""Short sweeps over a few digits, for the tests of sweeps."""

import numpy as np
from sklearn.datasets import load_digits

import ae_jax
from ae_jax.data import from_arrays

DIGITS = (load_digits().images[:300] / 16).astype(np.float32)
TEST = (load_digits().images[300:400] / 16).astype(np.float32)
LABELS = load_digits().target
VALIDATION = (load_digits().images[400:450] / 16).astype(np.float32)
LABELED = from_arrays(
  *(DIGITS, TEST, LABELS[:300], LABELS[300:400]),
  validation=VALIDATION,
  validation_labels=LABELS[400:450],
)
SHORT = {"num_epochs": 3, "batch_size": 64, "widths": ()}
HIDDEN = SHORT | {"widths": (16,)}
# Twelve steps of float32 under other batchings and fusions. Adam divides by the
# root of small squared gradients, which lifts rounding to about 1e-5 of a
# parameter's size; ten times that is allowed.
SOLO = {"rtol": 1e-4, "atol": 2e-5}


def run(points, **options):
  return ae_jax.run_sweep(
    points, LABELED, metrics=(), progress=False, **options
  )
