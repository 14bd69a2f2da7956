"""The README's Python runs as it stands there."""

import re
from pathlib import Path

import pytest

README = Path(__file__).parent.parent / "README.md"
BLOCKS = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)


@pytest.mark.parametrize("index", range(len(BLOCKS)))
def test_python_block_runs(index, monkeypatch, tmp_path):
  monkeypatch.chdir(tmp_path)
  exec(compile(BLOCKS[index], f"README block {index}", "exec"), {})


def test_readme_has_its_blocks_and_stays_short():
  assert len(BLOCKS) == 2
  assert len(README.read_text().splitlines()) <= 200
