"""The pages of docs/own run from top to bottom as they stand there."""

import importlib
import re
import shlex
import sys
from pathlib import Path

import numpy as np
import pytest

from ae_jax.cli import evaluate, report, use
from ae_jax.metrics import registry
from ae_jax.types import UsageError
from experiments import sweep

PAGES = sorted((Path(__file__).parent.parent / "docs" / "own").glob("*.md"))
SMALL = (
  "--config.metrics=",
  "--config.sweep.seed=0,",
  "--config.fixed.num_epochs=1",
  "--config.fixed.widths=4",
)
MISTAKES = {}


@pytest.fixture
def reader(monkeypatch, tmp_path):
  """A folder of the reader; his modules and metrics are forgotten later."""
  monkeypatch.chdir(tmp_path)
  monkeypatch.syspath_prepend(tmp_path)
  modules = {*sys.modules}
  tables = registry.GROUPS, registry.METRICS, registry.OWN
  before = [dict(table) for table in tables]
  np.save("x.npy", np.zeros((3, 8, 8, 1), np.float32))
  yield tmp_path
  for table, old in zip(tables, before, strict=True):
    table.clear()
    table.update(old)
  for name in {*sys.modules} - modules:
    if (tmp_path / f"{name}.py").exists():
      del sys.modules[name]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_page_runs(page, reader):
  text = page.read_text()
  names = {}
  for language, block in re.findall(r"```(python|sh)\n(.*?)```", text, re.S):
    file = re.match(r"# (\w+\.py)\n", block)
    if file:
      (reader / file[1]).write_text(block)
      importlib.invalidate_caches()
    elif language == "python":
      exec(compile(block, page.name, "exec"), names)
    else:
      for words in commands(block):
        call(*words)
  shown = " ".join(text.split()).replace("\\|", "|")
  for mistake in MISTAKES.get(page.stem, ()):
    with pytest.raises(UsageError) as caught:
      exec(compile(mistake, "a mistake", "exec"), dict(names))
    assert str(caught.value) in shown, f"{page.name} lacks: {caught.value}"


def commands(block):
  """The commands of a block, as lists of words without `./launch.sh`."""
  for line in block.replace("\\\n", " ").splitlines():
    program, *words = shlex.split(line, comments=True)
    assert program in ("./launch.sh", "ae-jax")
    yield words


def call(command, *words):
  if command == "sweep":
    small = [
      w for w in SMALL if f"{w.partition('=')[0]}=" not in " ".join(words)
    ]
    sweep.main([command, *words, *small])
  elif command in ("report", "evaluate"):
    {"report": report, "evaluate": evaluate}[command].main([command, *words])
  else:
    use.main(["ae-jax", command, *words])


def test_the_pages_are_short():
  for page in PAGES:
    lines = page.read_text().splitlines()
    assert len(lines) < 110, page.name
    assert max(map(len, lines)) <= 100, page.name


def test_links_lead_to_files():
  for page in PAGES:
    for link in re.findall(r"\]\(([^)#]+)", page.read_text()):
      assert link.startswith("http") or (page.parent / link).exists(), link
