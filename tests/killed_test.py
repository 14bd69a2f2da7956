"""A sweep that was killed goes on to the same bits."""

import contextlib
import os
import runpy
import signal
import subprocess
import sys
import time
from pathlib import Path
from unittest import mock

import jax
import numpy as np
import pytest
from shell import rows_of

from ae_jax.run_folder import checkpoints, results
from ae_jax.run_folder.snapshots import FOLDER as SNAPSHOTS

ROOT = Path(__file__).parent.parent
PROGRAM = """
import sys
import numpy as np
import ae_jax

x = np.random.default_rng(0).uniform(size=(400, 6)).astype(np.float32)
points = ae_jax.grid.product(
  objective=("autoencoder", "denoising"), latent_size=(2,), seed=(0, 1),
  num_epochs=(800,), batch_size=(16,), widths=((),),
)
try:
  ae_jax.run_sweep(
    points, x, folder=sys.argv[1], metrics=(), snapshot_seconds=0.0
  )
except KeyboardInterrupt:
  print("interrupted", file=sys.stderr)
  sys.exit(130)
"""


@pytest.fixture(scope="module")
def program(tmp_path_factory):
  path = tmp_path_factory.mktemp("program") / "program.py"
  path.write_text(PROGRAM)
  return path


@contextlib.contextmanager
def process_of(program, workdir):
  """A process of its own, of as many devices as this one has."""
  devices = {"JAX_NUM_CPU_DEVICES": str(len(jax.devices()))}
  process = subprocess.Popen(
    # A background job of a shell ignores SIGINT, and so would its children.
    ["env", "--default-signal=INT", sys.executable, program, workdir],
    stdout=subprocess.DEVNULL,
    stderr=subprocess.PIPE,
    text=True,
    env=os.environ | {"PYTHONPATH": str(ROOT)} | devices,
  )
  with process:
    yield process


def call(program, workdir):
  """Runs it in this process."""
  with mock.patch.object(sys, "argv", [str(program), str(workdir)]):
    runpy.run_path(str(program))


@pytest.fixture(scope="module")
def undisturbed(program, tmp_path_factory):
  folder = tmp_path_factory.mktemp("undisturbed") / "run"
  call(program, folder)
  return folder


def is_in_second_group(folder):
  """Whether there is a snapshot that was written after the first rows."""
  table = folder / results.RESULTS
  if not table.exists():
    return False
  with contextlib.suppress(FileNotFoundError):  # an older one is removed
    return any(
      path.stat().st_mtime_ns > table.stat().st_mtime_ns
      for path in folder.glob(f"{SNAPSHOTS}/*.npz")
    )
  return False


@pytest.mark.parametrize(
  "number",
  [signal.SIGKILL, pytest.param(signal.SIGINT, marks=pytest.mark.slow)],
)
def test_an_ended_python_goes_on_to_the_same_bits(
  program, undisturbed, tmp_path, number, capsys
):
  folder = tmp_path / "run"
  deadline = time.monotonic() + 120
  with process_of(program, folder) as process:
    # In its second group, so that there is something of each kind.
    while not is_in_second_group(folder):
      assert process.poll() is None, process.stderr.read()
      assert time.monotonic() < deadline
      time.sleep(0.02)
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
  if number == signal.SIGINT:
    assert process.returncode == 130, err
    assert err.splitlines()[-1] == "interrupted"
  assert [*folder.glob(f"{SNAPSHOTS}/*.npz")]
  assert len(rows_of(folder)) == 2
  capsys.readouterr()
  call(program, folder)
  assert "2 trials go on from a snapshot" in capsys.readouterr().err
  assert not (folder / SNAPSHOTS).exists()
  assert rows_of(folder) == rows_of(undisturbed)
  ids = [row["id"] for row in rows_of(folder)]
  for ours, theirs in zip(
    checkpoints.load_groups(folder, ids),
    checkpoints.load_groups(undisturbed, ids),
    strict=True,
  ):
    assert ours.ids == theirs.ids
    jax.tree.map(
      np.testing.assert_array_equal,
      (ours.params, ours.history),
      (theirs.params, theirs.history),
    )
