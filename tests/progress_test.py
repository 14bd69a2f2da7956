"""Progress: it tells the time left, and never ends the run that it tells of."""

import contextlib
import os
import sys

import numpy as np
import pytest

from ae_jax.progress import Progress
from ae_jax.time_left import TimeLeft
from ae_jax.trial import Trial


def test_a_reader_that_is_gone_does_not_end_the_run(monkeypatch):
  reader, writer = os.pipe()
  os.close(reader)  # as `ae-jax sweep 2>&1 | tee log` after Ctrl-C
  stderr = open(writer, "w", buffering=1)  # noqa: SIM115 - closed below
  monkeypatch.setattr(sys, "stderr", stderr)
  progress = Progress()
  settings = {"objective": "autoencoder", "num_epochs": 1}
  trial = Trial(settings, functions={}, hyper={}, source="")
  with progress.over([1], ()):
    progress.say("a line")
    progress.on_epoch([trial], 1, {"loss": np.array([1.0])})
  with contextlib.suppress(BrokenPipeError):
    stderr.close()


def test_the_time_left_is_that_of_each_kind_of_work():
  now = [0.0]
  left = TimeLeft({"epochs": 80, "features": 8}, clock=lambda: now[0])
  assert left.seconds() is None
  now[0] += 4
  left.did("epochs", 4)
  assert left.seconds() is None  # nothing of features
  now[0] += 26
  left.did("epochs", 4)
  # Features are thought to take as long.
  assert left.seconds() == pytest.approx((72 + 8) * 30 / 8)
  left.skip("epochs", 32)  # they go on from a snapshot
  now[0] += 50
  left.skip("epochs", 0)  # done once
  now[0] += 20
  left.did("features", 4)
  # The first was compiled: later ones take 0.6 of it.
  assert left.seconds() == pytest.approx(40 * 30 / 8 + 4 * 0.6 * 20 / 4)
  now[0] += 4
  left.did("features", 4)
  assert left.seconds() == pytest.approx(40 * 30 / 8)
  assert left.elapsed == now[0] == 104


def test_a_log_of_many_epochs_is_short(capsys):
  """A pipe that nobody reads must not fill."""
  progress = Progress()
  settings = {"objective": "autoencoder", "num_epochs": 1000}
  trial = Trial(settings, functions={}, hyper={}, source="")
  with progress.over([1000], ("features",)):
    for epoch in range(1, 1001):
      progress.on_epoch([trial], epoch, {"loss": np.array([1.0])})
  said = capsys.readouterr().err
  assert "epoch 1/1000" in said
  assert len(said.splitlines()) < 20
