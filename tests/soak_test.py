"""A long run: neither memory nor open files grow with it for ever."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import psutil
import pytest

from ae_jax.engine.program import _NUM_CACHED

ROOT = Path(__file__).parent.parent
NUM_GROUPS, NUM_SEEDS = 50, 20


@pytest.mark.slow
def test_a_thousand_trials_in_fifty_groups(tmp_path):
  x = np.random.default_rng(0).uniform(size=(200, 12)).astype(np.float32)
  np.save(tmp_path / "x.npy", x)
  process = subprocess.Popen(
    [
      *(sys.executable, "-m", "ae_jax", "sweep"),
      f"--config.data.path={tmp_path / 'x.npy'}",
      f"--workdir={tmp_path / 'run'}",
      "--config.objective=autoencoder",
      f"--config.sweep.num_epochs={','.join(map(str, range(1, 51)))}",
      f"--config.sweep.seed={','.join(map(str, range(NUM_SEEDS)))}",
      "--config.sweep.latent_size=3,",
      "--config.metrics=",
    ],
    stdout=subprocess.DEVNULL,
    stderr=subprocess.PIPE,
    text=True,
    env=os.environ
    | {
      "JAX_COMPILATION_CACHE_DIR": str(tmp_path / "cache"),
      "PYTHONPATH": str(ROOT),
    },
  )
  watched = psutil.Process(process.pid)
  memory, files = [], []
  with process:
    for line in process.stderr:
      if "(devices x trials) at a time" in line:  # a group begins
        memory.append(watched.memory_info().rss)
        files.append(watched.num_fds())
  print(f"resident, by group: {memory}\nopen files: {files}")
  assert process.returncode == 0
  assert len(memory) == NUM_GROUPS
  # Compiled programs are kept up to a number.
  full = memory[_NUM_CACHED + 1 :]
  assert len(full) > 10
  assert max(full) < 1.05 * full[0]
  assert min(files[-10:]) <= files[5]  # Orbax opens two for a moment
