"""The Python and the commands of README and docs run as they stand there."""

import re
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits

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


def commands():
  """Each `./launch.sh` or `ae-jax` command of a block that runs one program."""
  lines = [
    line
    for block in blocks("sh")
    for line in block.values[0].replace("\\\n", " ").splitlines()
  ]
  for line in lines:
    words = shlex.split(line, comments=True)
    if words and words[0] in ("./launch.sh", "ae-jax"):
      yield words[1:]


PROGRAMS = ("benchmark", "coders", "test")  # have tests of their own
COMMANDS = [words for words in commands() if words and words[0] not in PROGRAMS]
SMALL = (
  "--config.metrics=",
  "--config.fixed.num_epochs=1",
  "--config.fixed.widths=4",
)


@pytest.mark.parametrize("code", blocks("python"))
def test_python_block_runs(code, monkeypatch, tmp_path):
  monkeypatch.chdir(tmp_path)
  exec(compile(code, "a block", "exec"), {})


@pytest.fixture(scope="module")
def run(tmp_path_factory):
  """A small run that has what the commands ask for."""
  folder = tmp_path_factory.mktemp("run") / "run"
  digits = load_digits()
  data = folder.parent / "digits.npz"
  np.savez(data, x=digits.images[..., None] / 16, y=digits.target)
  sweep.main(
    [
      *("sweep", f"--workdir={folder}", f"--config.data.path={data}"),
      *("--config.sweep.objective=vae,", "--config.sweep.beta=0.1,"),
      *("--config.sweep.latent_size=8,", "--config.sweep.seed=0,"),
      *("--config.fixed.likelihood=bernoulli", *SMALL[1:]),
      "--config.metrics=reconstruction,features,neighbors",
    ]
  )
  return folder


@pytest.mark.parametrize("words", COMMANDS, ids=shlex.join)
def test_command_runs(words, run, monkeypatch, tmp_path):
  monkeypatch.chdir(tmp_path)
  x = load_digits().images[:40, ..., None] / 16
  np.save("x.npy", x)
  np.save("queries.npy", x[:3])
  np.save("codes.npy", np.zeros((3, 8), np.float32))
  Path("my_module.py").write_text(
    next(b.values[0] for b in blocks("python") if "def my_loss" in b.values[0])
  )
  command, *rest = words
  trial = next(iter((run / "results.csv").read_text().splitlines()[1:]))
  rest = [
    re.sub(r"--trial=\w+", f"--trial={trial.split(',')[0]}", word).replace(
      "$RUN", str(run)
    )
    for word in rest
  ]
  if command == "sweep":
    if "--help" in rest or any("NAME.py" in word for word in rest):
      return
    small = ["--config.sweep.latent_size=2,", "--config.sweep.seed=0,", *SMALL]
    sweep.main(["sweep", *rest, *small])
    return
  own = tmp_path / "own"
  shutil.copytree(run, own)
  rest = [word.replace(str(run), str(own)) for word in rest]
  mains = {"report": report.main, "evaluate": evaluate.main}
  mains.get(command, lambda argv: use.main(["ae-jax", command, *argv[1:]]))(
    [command, *rest]
  )


def test_the_readme_is_short():
  lines = (ROOT / "README.md").read_text().splitlines()
  assert len(lines) < 150
  assert max(map(len, lines)) <= 100


def test_links_lead_to_files():
  for file in FILES:
    for link in re.findall(r"\]\(([^)#]+)", file.read_text()):
      assert link.startswith("http") or (file.parent / link).exists(), link
