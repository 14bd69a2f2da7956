"""The Python and the commands of README and docs run as they stand there."""

import re
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest
from shell import without_page
from sklearn.datasets import load_digits

import ae_jax
from ae_jax.cli import evaluate, report, use
from experiments import sweep

ROOT = Path(__file__).parent.parent
FILES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def blocks(language):
  """(file, number, text) of each block in a language."""
  return [
    pytest.param(text, id=f"{file.name}-{i}")
    for file in FILES
    for i, text in enumerate(
      re.findall(rf"```{language}\n(.*?)```", file.read_text(), re.DOTALL)
    )
  ]


PROGRAMS = ("benchmark", "coders", "test")  # have tests of their own


def commands(block):
  """The `./launch.sh` and `ae-jax` commands of a block, as lists of words."""
  for line in block.replace("\\\n", " ").splitlines():
    words = shlex.split(line, comments=True)
    if len(words) > 1 and words[0] in ("./launch.sh", "ae-jax"):
      yield words[1:]


SMALL = (
  "--config.metrics=",
  "--config.fixed.num_epochs=1",
  "--config.fixed.widths=()",
)


@pytest.mark.parametrize("code", blocks("python"))
def test_python_block_runs(code, monkeypatch, tmp_path):
  def run_sweep(points, *data, **options):
    small = [{"num_epochs": 1, "widths": ()} | point for point in points]
    return ae_jax.sweep.run_sweep(small, *data, **{"metrics": ()} | options)

  monkeypatch.setattr(ae_jax, "run_sweep", run_sweep)
  monkeypatch.chdir(tmp_path)
  exec(compile(code, "a block", "exec"), {})


DIGITS = load_digits()
BYTES = (15 * DIGITS.images[..., None]).astype(np.uint8)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
  """A small run that has what the commands ask for."""
  folder = tmp_path_factory.mktemp("run") / "run"
  data = folder.parent / "digits.npz"
  np.savez(data, x=BYTES, y=DIGITS.target)
  sweep.main(
    [
      *("sweep", f"--workdir={folder}", f"--config.data.path={data}"),
      *("--config.sweep.objective=vae,", "--config.sweep.beta=0.1,"),
      *("--config.sweep.latent_size=8,", "--config.sweep.seed=0,"),
      *("--config.fixed.likelihood=bernoulli", *SMALL[1:]),
      "--config.metrics=reconstruction,neighbors",
    ]
  )
  return folder


@pytest.mark.parametrize("block", blocks("sh"))
def test_commands_run_one_after_the_other(block, run, monkeypatch, tmp_path):
  monkeypatch.chdir(tmp_path)
  np.save("x.npy", BYTES[:600])
  np.save("queries.npy", BYTES[:3])
  np.save("codes.npy", np.zeros((3, 8), np.float32))
  Path("my_module.py").write_text(
    next(b.values[0] for b in blocks("python") if "def my_loss" in b.values[0])
  )
  own = tmp_path / "own"
  shutil.copytree(run, own)
  trial = (own / "results.csv").read_text().splitlines()[1].partition(",")[0]
  for command, *rest in commands(block):
    if command in PROGRAMS:
      continue
    rest = [
      re.sub(r"--trial=\w+", f"--trial={trial}", word).replace("$RUN", str(own))
      for word in rest
    ]
    call(command, rest)


def call(command, rest):
  if command == "sweep":
    small = ["--config.sweep.latent_size=2,", "--config.sweep.seed=0,", *SMALL]
    if "--help" not in rest and not any("NAME" in word for word in rest):
      with without_page():
        sweep.main(["sweep", *rest, *small])
  elif command in ("report", "evaluate"):
    {"report": report, "evaluate": evaluate}[command].main([command, *rest])
  else:
    use.main(["ae-jax", command, *rest])


def test_the_readme_is_short():
  lines = (ROOT / "README.md").read_text().splitlines()
  assert len(lines) < 150
  assert max(map(len, lines)) <= 100


def test_links_lead_to_files():
  for file in FILES:
    for link in re.findall(r"\]\(([^)#]+)", file.read_text()):
      assert link.startswith("http") or (file.parent / link).exists(), link
