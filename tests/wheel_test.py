"""The wheel alone, in a fresh environment and an empty folder."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

pytestmark = pytest.mark.slow  # installs everything anew

SCRIPT = """
import sys
import ae_jax

sys.path.append(".")
from experiments.losses import my_loss
from sklearn.datasets import load_digits

digits = load_digits()
x = digits.data.astype("float32") / 16
points = ae_jax.grid.product(
  objective=["vae", my_loss], latent_size=[2, 8], seed=range(4)
)
points = [p | {"num_epochs": int(sys.argv[1])} for p in points]
results = ae_jax.run_sweep(
  points, x, labels=digits.target, folder="mine", metrics=["reconstruction"],
  snapshot_seconds=0.5,
)
assert len(results) == 16, results
best = ae_jax.load("mine", objective="vae")
assert best.encode(x).shape == (1797, best.row["latent_size"])
before = results.rows
after = ae_jax.evaluate("mine", ["features"]).rows
assert "test_probe_accuracy" in after[0]
assert "test_probe_accuracy" not in before[0]
assert [r["loss"] for r in after] == [r["loss"] for r in before]
print(results.report().path)
"""
LOSSES = """
import jax.numpy as jnp

def my_loss(model, params, key, batch, *, my_weight: float = 1.0):
  z = model.encode(params, batch)
  nll = jnp.mean(model.nll(batch, model.decode(params, z)))
  return nll + my_weight * jnp.mean(jnp.max(jnp.abs(z), axis=-1)), {}
"""
TYPED = """
import ae_jax

results = ae_jax.run_sweep([{"latent_size": 2}], "digits")
results.best(by=3)
trained: ae_jax.Trained = results.best()
trained.encod([1.0])
"""


@pytest.fixture(scope="module")
def python(tmp_path_factory):
  """A fresh environment that has the wheel."""
  folder = tmp_path_factory.mktemp("wheel")
  build = [sys.executable, "-m", "build", "--wheel", "-o", folder, ROOT]
  subprocess.run(build, check=True, capture_output=True)
  subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True)
  (wheel,) = folder.glob("*.whl")
  python = folder / "venv" / "bin" / "python"
  packages = [f"{wheel}[all]", "mypy"]
  subprocess.run(
    [python, "-m", "pip", "install", "-q", "-c", ROOT / "constraints.txt"]
    + packages,
    check=True,
    capture_output=True,
  )
  return python


@pytest.fixture
def folder(tmp_path):
  """A user's own: the script, and a loss in experiments/."""
  (tmp_path / "experiments").mkdir()
  (tmp_path / "experiments" / "losses.py").write_text(LOSSES)
  (tmp_path / "script.py").write_text(SCRIPT)
  return tmp_path


def run(command, folder, **options):
  environment = {
    k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "JAX"))
  }
  result = subprocess.run(
    [*map(str, command)],
    cwd=folder,
    env=environment,
    capture_output=True,
    text=True,
    **options,
  )
  assert result.returncode == 0, result.stdout + result.stderr
  return result.stdout + result.stderr


def test_a_script_goes_on_after_a_kill(python, folder):
  process = subprocess.Popen(
    [python, "script.py", "3000"], cwd=folder, stderr=subprocess.DEVNULL
  )
  deadline = time.monotonic() + 120
  while not [*folder.glob("mine/snapshots/*.npz")]:
    assert process.poll() is None
    assert time.monotonic() < deadline
    time.sleep(0.2)
  process.send_signal(signal.SIGKILL)
  process.wait()
  output = run([python, "script.py", "3000"], folder)
  assert "go on from a snapshot" in output
  assert (folder / "mine" / "report.html").exists()


def test_the_shell_and_python_share_a_folder(python, folder):
  command = python.parent / "ae-jax"
  sweep = [command, "sweep", "--config.metrics=", "--workdir=runs/one"]
  sweep += ["--config.objective=experiments.losses:my_loss"]
  sweep += ["--config.fixed.num_epochs=2", "--config.sweep.latent_size=2,8"]
  assert "4 trained" in run(sweep, folder)
  assert "0 trained" in run(sweep, folder)
  script = (
    "import ae_jax; r = ae_jax.load('runs/one'); print(r.row['objective']);"
    "print(len(ae_jax.evaluate('runs/one', ['activity'])))"
  )
  output = run([python, "-c", script], folder)
  assert "experiments.losses:my_loss" in output
  run([python, "-m", "ae_jax", "report", "runs/one"], folder)
  assert "4 trials" in run([command, "evaluate", "runs/one"], folder)


def test_a_type_checker_finds_a_mistake(python, folder):
  (folder / "typed.py").write_text(TYPED)
  result = subprocess.run(
    [python, "-m", "mypy", "--ignore-missing-imports", "typed.py"],
    cwd=folder,
    capture_output=True,
    text=True,
  )
  assert result.returncode == 1
  lines = re.findall(r"typed\.py:(\d+): error", result.stdout)
  assert lines == ["5", "7"], result.stdout
