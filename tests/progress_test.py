"""Progress: what it writes never ends the run that it tells of."""

import contextlib
import os
import sys

import numpy as np

from ae_jax.progress import Progress
from ae_jax.trial import Trial


def test_a_reader_that_is_gone_does_not_end_the_run(monkeypatch):
  reader, writer = os.pipe()
  os.close(reader)  # as `ae-jax sweep 2>&1 | tee log` after Ctrl-C
  stderr = open(writer, "w", buffering=1)  # noqa: SIM115 - closed below
  monkeypatch.setattr(sys, "stderr", stderr)
  progress = Progress()
  settings = {"objective": "autoencoder", "num_epochs": 1}
  trial = Trial(settings, functions={}, hyper={}, source="")
  with progress.over([1], 0):
    progress.say("a line")
    progress.on_epoch([trial], 1, {"loss": np.array([1.0])})
  with contextlib.suppress(BrokenPipeError):
    stderr.close()
