"""What nights bring: kills, signals, full disks; with the real fault."""

import json
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from shell import rows_of, user_environment

from ae_jax import report
from ae_jax.run_folder import results

ROOT = Path(__file__).parent.parent
NUM_KILLS = 50
MOST_STARTS = 200


@pytest.fixture(scope="module")
def start(tmp_path_factory):
  """Starts a sweep of three groups in a process of its own."""
  folder = tmp_path_factory.mktemp("faults")
  rng = np.random.default_rng(0)
  labels = rng.integers(0, 3, 300)
  x = rng.uniform(size=(300, 6, 6)) * (1 + labels[:, None, None]) / 3
  np.savez(folder / "x.npz", x=x.astype(np.float32), y=labels)

  def start(workdir, *arguments):
    return subprocess.Popen(
      [
        # A background job of a shell ignores SIGINT, and so would its children.
        *("env", "--default-signal=INT"),
        *(sys.executable, "-m", "ae_jax", "sweep"),
        f"--config.data.path={folder / 'x.npz'}",
        "--config.metrics=reconstruction,neighbors",
        "--config.sweep.objective=sparse,denoising,vae",
        "--config.sweep.latent_size=2,5",
        "--config.sweep.seed=0,1,2",
        "--config.fixed.num_epochs=400",
        "--config.fixed.batch_size=16",
        "--config.snapshot_seconds=0",
        f"--workdir={workdir}",
        *arguments,
      ],
      stdout=subprocess.PIPE,
      stderr=subprocess.STDOUT,
      text=True,
      env=user_environment()
      | {
        "JAX_COMPILATION_CACHE_DIR": str(folder / "cache"),
        "PYTHONPATH": str(ROOT),
      },
    )

  return start


@pytest.fixture(scope="module")
def whole(start, tmp_path_factory):
  """The table of a run that nothing disturbs, and how long it took."""
  workdir = tmp_path_factory.mktemp("whole") / "run"
  finish(start(workdir))  # compiles
  again = workdir.with_name("again")
  begin = time.monotonic()
  finish(start(again))
  seconds = time.monotonic() - begin
  assert rows_of(again) == rows_of(workdir)
  return rows_of(workdir), seconds


def finish(process):
  out, _ = process.communicate(timeout=600)
  assert process.returncode == 0, out
  return out


@pytest.mark.slow
def test_killed_at_any_moment_the_table_is_the_same(start, whole, tmp_path):
  expected, seconds = whole
  moment = random.Random(0)
  num_kills = num_starts = 0
  while num_kills < NUM_KILLS:
    workdir = tmp_path / f"run{num_starts}"
    while True:
      process = start(workdir)
      num_starts += 1
      assert num_starts < MOST_STARTS
      try:
        out, _ = process.communicate(timeout=moment.uniform(2.0, seconds))
      except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
        process.communicate()
        num_kills += 1
        continue
      assert process.returncode == 0, out
      break
    assert rows_of(workdir) == expected
    assert (workdir / report.REPORT).exists()


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("phase", ["imports", "training", "measured"])
def test_a_signal_saves_and_ends_the_run(start, whole, tmp_path, number, phase):
  process = start(tmp_path / "run")
  seen = ""
  if phase != "imports":
    while phase not in seen.replace("best loss", "training"):
      seen += process.stdout.read(1)
  else:
    time.sleep(4)
  begin = time.monotonic()
  process.send_signal(number)
  rest, _ = process.communicate(timeout=60)
  assert time.monotonic() - begin < 10
  assert process.returncode == 128 + number, seen + rest
  last = rest.strip().splitlines()[-1]
  assert last == "interrupted: the same command goes on from here"
  assert "Traceback" not in rest
  if phase == "training":
    assert [*(tmp_path / "run" / "snapshots").glob("*.npz")]
  finish(start(tmp_path / "run"))
  assert rows_of(tmp_path / "run") == whole[0]


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_a_run_that_nobody_hears(start, whole, tmp_path, number):
  process = start(tmp_path / "run")
  seen = ""
  while "best loss" not in seen:
    seen += process.stdout.read(1)
  process.stdout.close()
  process.send_signal(number)
  assert process.wait(timeout=10) == 128 + number
  assert [*(tmp_path / "run" / "snapshots").glob("*.npz")]
  finish(start(tmp_path / "run"))
  assert rows_of(tmp_path / "run") == whole[0]


@pytest.mark.slow
def test_a_signal_does_not_hide_that_nothing_can_be_saved(start, tmp_path):
  process = start(tmp_path / "run", "--config.snapshot_seconds=1000")
  seen = ""
  while "best loss" not in seen:
    seen += process.stdout.read(1)
  (tmp_path / "run" / "snapshots").write_text("no folder")
  process.send_signal(signal.SIGTERM)
  rest, _ = process.communicate(timeout=10)
  assert process.returncode == 1, rest
  assert re.search("error: .*snapshots", rest)
  assert "interrupted" not in rest


WIDE = ("--config.fixed.widths=512,256", "--config.fixed.num_epochs=2")


@pytest.mark.slow
@pytest.mark.parametrize(("size", "arguments"), [("400k", ()), ("1m", WIDE)])
def test_a_full_disk_is_told_and_what_was_finished_is_whole(
  start, whole, tmp_path, size, arguments
):
  expected, _ = whole
  if arguments:  # a model alone is larger than the disk
    finish(start(tmp_path / "whole", *arguments))
    expected = rows_of(tmp_path / "whole")
  disk = tmp_path / "disk"
  disk.mkdir()
  mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", disk]
  if subprocess.run(mount, check=False, capture_output=True).returncode:
    pytest.skip("mounting a small disk needs root")
  try:
    process = start(disk / "run", *arguments)
    out, _ = process.communicate(timeout=600)
    assert process.returncode == 1, out
    assert re.search("error: .*No space left on device.*goes on", out)
    assert "Traceback" not in out
    finished = (
      rows_of(disk / "run") if (disk / "run" / results.RESULTS).exists() else []
    )
    assert all(row in expected for row in finished)
    subprocess.run(["mount", "-o", "remount,size=1g", disk], check=True)
    finish(start(disk / "run", *arguments))
    assert rows_of(disk / "run") == expected
  finally:
    subprocess.run(["umount", "-l", disk], check=True)


LITTLE_MEMORY = """
import resource

import psutil

from ae_jax.cli import start
from ae_jax.cli.sweep import main
from ae_jax.engine.autotune import Choice
from ae_jax.engine.placement import Placement
from ae_jax.engine.program import compile_program
from ae_jax.executors import local

FREE = 350 * 2**20  # the program takes 398 MiB, half of it 199, metrics some
UNLIMITED = resource.RLIM_INFINITY


def choose(group, pipeline, memory_bytes, known):
  placement = known.setdefault("one", Placement(2, 8))
  program = compile_program(group, pipeline, placement)
  limit = psutil.Process().memory_info().vms + FREE
  resource.setrlimit(resource.RLIMIT_AS, (limit, UNLIMITED))
  return Choice("one", program, {}, 0.0)


local.choose = choose
start.run(main)
"""


@pytest.mark.slow
def test_out_of_memory_the_same_command_goes_on_with_smaller_programs(tmp_path):
  x = np.random.default_rng(0).uniform(size=(320, 784)).astype(np.float32)
  np.save(tmp_path / "x.npy", x)
  arguments = [
    f"--config.data.path={tmp_path / 'x.npy'}",
    "--config.objective=autoencoder",
    f"--config.sweep.seed={tuple(range(16))}",
    "--config.sweep.latent_size=32",
    "--config.fixed.widths=512,256",
    "--config.fixed.num_epochs=1",
    "--config.metrics=",
  ]

  def run(workdir, code, *program):
    done = subprocess.run(
      [sys.executable, *program, f"--workdir={workdir}", *arguments],
      capture_output=True,
      text=True,
      env=user_environment()
      | {
        "JAX_COMPILATION_CACHE_DIR": str(tmp_path / "cache"),
        "PYTHONPATH": str(ROOT),
      },
    )
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr

  run(tmp_path / "whole", 0, "-m", "ae_jax", "sweep")
  (tmp_path / "little.py").write_text(LITTLE_MEMORY)
  err = run(tmp_path / "little", 1, tmp_path / "little.py")
  assert "goes on with 8 trials at a time: run the same command again" in err
  assert not (tmp_path / "little" / results.RESULTS).exists()
  placements = tmp_path / "little" / "placements.json"
  assert json.loads(placements.read_text()) == {"one": [2, 4]}
  run(tmp_path / "little", 0, tmp_path / "little.py")
  rows, expected = rows_of(tmp_path / "little"), rows_of(tmp_path / "whole")
  for row, other in zip(rows, expected, strict=True):
    assert row["id"] == other["id"]
    np.testing.assert_allclose(  # another batching
      float(row["loss"]), float(other["loss"]), rtol=1e-5
    )
