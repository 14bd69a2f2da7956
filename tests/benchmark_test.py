"""The benchmark: its files, its mistakes, its counts; nothing by the clock."""

import contextlib
import io
import json
import math
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import jax
import matplotlib.image
import numpy as np
import pytest

from experiments import benchmark
from experiments.benchmarks import peers, table, timing, trials
from experiments.benchmarks.section import BenchmarkSection, attempt

ROOT = Path(__file__).parent.parent


def call(*arguments):
  """Exit code and stdout; other tests have JAX's cache as it was."""
  cache, code = jax.config.jax_enable_compilation_cache, 0
  out = io.StringIO()
  try:
    with contextlib.redirect_stdout(out):
      benchmark.main(["benchmark.py", "--quick", *arguments])
  except SystemExit as exit:
    code = exit.code or 0
  finally:
    jax.config.update("jax_enable_compilation_cache", cache)
  return code, out.getvalue()


@pytest.fixture(scope="module")
def quick(tmp_path_factory):
  """The folder that `--quick` fills, and what it printed."""
  folder = tmp_path_factory.mktemp("benchmark")
  code, out = call("--objectives=autoencoder,vae", f"--output={folder}")
  assert code == 0
  return folder, out


def numbers(value):
  match value:
    case dict():
      for inner in value.values():
        yield from numbers(inner)
    case list():
      for inner in value:
        yield from numbers(inner)
    case int() | float():
      yield value


def test_quick_writes_every_number(quick):
  folder, _ = quick
  record = json.loads((folder / "benchmark.json").read_text())
  assert {"date", "versions", "devices", "git_commit"} <= record.keys()
  assert {*record["sections"]} == {*benchmark.SECTIONS}
  for name, rows in record["sections"].items():
    assert all(0 < number < math.inf for number in numbers(rows)), name
    assert len({frozenset(row) for row in rows}) <= 1, name
  rows = record["sections"]["trials"]
  assert record["complete"]
  assert [row["objective"] for row in rows] == ["autoencoder", "vae"]
  assert {row["trials"] for row in rows} == {2}
  assert {
    "compile_s",
    "ms_per_step",
    "ms_per_trial_step",
    "trial_steps_per_s",
    "images_per_s",
    "gflop_per_s",
    "share_of_peak",
    "memory_mib",
  } <= rows[0].keys()
  for row in rows:
    per_trial = row["ms_per_trial_step"]
    assert len(per_trial["repeats"]) == 1
    assert per_trial["min"] <= per_trial["median"] <= per_trial["max"]
    np.testing.assert_allclose(
      row["images_per_s"], 128 * 1e3 / per_trial["median"]
    )
    np.testing.assert_allclose(
      row["share_of_peak"], row["gflop_per_s"] / record["peak_gflop_per_s"]
    )


def test_quick_writes_tables_and_a_picture(quick):
  folder, printed = quick
  text = (folder / "benchmark.md").read_text()
  assert text in printed
  for section in benchmark.SECTIONS.values():
    assert f"## {section.title}" in text
  assert f"jax {jax.__version__}" in text
  assert matplotlib.image.imread(folder / "benchmark.png").std() > 0
  assert {p.name for p in folder.iterdir()} == {
    "benchmark.md",
    "benchmark.json",
    "benchmark.png",
  }


def test_the_checkout_stays_importable_inside_of_itself(tmp_path):
  code = (
    "import os, sys; from ae_jax.cli import start;"
    " sys.path[:0] = ['', os.getcwd() + '/.'];"
    " start.without_current_folder();"
    " assert os.getcwd() in sys.path;"
    " assert os.getcwd() + '/.' not in sys.path;"
    " assert '' not in sys.path"
  )
  paths = os.pathsep.join([".", str(tmp_path), str(ROOT)])
  subprocess.run(
    [sys.executable, "-P", "-c", code],
    cwd=tmp_path,
    env=os.environ | {"PYTHONPATH": paths},
    check=True,
  )


def section(*rows):
  """One that gives these rows; calls what is no row, in its place."""

  def measure(options):
    for row in rows:
      yield from [row] if isinstance(row, dict) else row()

  return BenchmarkSection(
    "A title", "A note.", measure, lambda options: len(rows)
  )


def raising(error):
  def measure():
    raise error

  return measure


@pytest.fixture
def measured(tmp_path, monkeypatch):
  """Runs made-up sections -> exit code, the record."""

  def measured(**sections):
    cache = jax.config.jax_enable_compilation_cache
    monkeypatch.setattr(benchmark, "SECTIONS", sections)
    try:
      with pytest.raises(SystemExit) as raised:
        benchmark.main(["benchmark.py", "--quick", f"--output={tmp_path}"])
    finally:
      jax.config.update("jax_enable_compilation_cache", cache)
    record = json.loads((tmp_path / "benchmark.json").read_text())
    return raised.value.code, record

  return measured


def test_a_row_that_raises_is_recorded_and_the_others_go_on(
  measured, tmp_path, capsys
):
  error = RuntimeError("no such\nluck | at all")
  code, record = measured(
    pca=section(
      {"fit": "a", "ms": 1.5},
      lambda: attempt({"fit": "b"}, raising(error)),
      {"fit": "c", "ms": 2.5},
    ),
    data=section({"data": "d"}, raising(error), {"data": "not reached"}),
    loop=section({"trials": 1}),
  )
  assert code == 1
  reason = "RuntimeError: no such luck | at all"
  assert record["complete"]
  assert record["sections"] == {
    "pca": [
      {"fit": "a", "ms": 1.5},
      {"fit": "b", "failed": reason},
      {"fit": "c", "ms": 2.5},
    ],
    "data": [{"data": "d"}, {"failed": reason}],
    "loop": [{"trials": 1}],
  }
  out, err = capsys.readouterr()
  assert "| b |  | RuntimeError: no such luck \\| at all |" in out
  assert "| fit | ms | failed |" in (tmp_path / "benchmark.md").read_text()
  assert "error: 2 of 6 rows failed" in err


def test_an_objective_that_fails_is_a_row_beside_the_others(
  measured, monkeypatch
):
  def prepare(points, pipeline):
    if points[0]["objective"] in ("sparse", "vae"):
      raise ValueError("no")
    return real(points, pipeline)

  real = trials.prepare
  monkeypatch.setattr(trials, "prepare", prepare)
  monkeypatch.setattr(trials, "OBJECTIVES", ("sparse", "autoencoder", "vae"))
  code, record = measured(trials=trials.SECTION)
  assert code == 1
  rows = record["sections"]["trials"]
  assert {row["objective"]: row.get("failed") for row in rows} == {
    "sparse": "ValueError: no",
    "autoencoder": None,
    "vae": "ValueError: no",
  }
  assert rows[1]["share_of_peak"] > 0


@pytest.mark.parametrize(
  ("interrupt", "expected"),
  [
    (raising(KeyboardInterrupt), 130),
    (lambda: signal.raise_signal(signal.SIGTERM) or (), 143),
  ],
)
def test_an_interruption_leaves_what_was_measured(
  measured, tmp_path, capsys, interrupt, expected
):
  before = signal.getsignal(signal.SIGTERM)
  code, record = measured(
    pca=section({"fit": "a"}),
    loop=section({"trials": 1}, interrupt, {"trials": 2}),
  )
  assert code == expected
  assert not record["complete"]
  assert record["sections"] == {"pca": [{"fit": "a"}], "loop": [{"trials": 1}]}
  text = (tmp_path / "benchmark.md").read_text()
  assert "Not complete" in text
  _, err = capsys.readouterr()
  assert "interrupted: what was measured is in" in err
  assert str(tmp_path / "benchmark.json") in err
  assert signal.getsignal(signal.SIGTERM) == before


MISTAKES = {
  "unknown section": (
    ["--sections=trails"],
    "unknown sections 'trails'; allowed: trials, contractive",
  ),
  "unknown network": (["--networks=784"], "'784'; allowed: digits-64-64-8"),
  "unknown objective": (["--objectives=vea"], "'vea'; allowed: autoencoder"),
  "nothing to do": (
    ["--objectives=layerwise", "--networks=conv-16-32-16"],
    "none of --objectives fits any of --networks",
  ),
  "unknown flag": (["--peer"], "peer"),
  "no trials": (["--trials=0"], "--trials must be numbers"),
  "no repeats": (["--repeats=0"], "repeats"),
  "stray argument": (["trials"], "unexpected argument 'trials'"),
  "unwritable": (["--output=/proc/ae_jax"], "cannot write"),
  "unwritable, and there": (["--output=/proc"], "cannot write"),
  "empty output": (["--output="], "--output is empty"),
  "no peers": (["--peers"], "torch and pythae.*EXTRAS=peers ./launch.sh"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_line_and_exit_code_2(
  mistake, tmp_path, monkeypatch, capsys
):
  monkeypatch.chdir(tmp_path)
  monkeypatch.setattr(peers.importlib.util, "find_spec", lambda name: None)
  arguments, message = MISTAKES[mistake]
  with pytest.raises(SystemExit) as raised:
    benchmark.main(["benchmark.py", *arguments])
  assert raised.value.code == 2
  _, err = capsys.readouterr()
  assert err.count("\n") == 1
  assert err.startswith("error: ")
  assert re.search(message, err), err
  assert not [*tmp_path.iterdir()]


def test_a_ratio_is_taken_within_a_round():
  slow, fast = timing.Spread((2.0, 20.0, 4.0)), timing.Spread((1.0, 10.0, 1.0))
  assert slow.over(fast).median == 2.0
  assert slow.times(1e3).repeats == (2e3, 2e4, 4e3)


def test_works_take_turns_in_whole_units():
  done = []

  def work(name, unit):
    return timing.Work(lambda count: done.append((name, count)), unit)

  works = {"a": work("a", 3), "b": work("b", 1000)}
  spreads = timing.interleaved(works, repeats=3, seconds=0.0)
  assert {name: len(s.repeats) for name, s in spreads.items()} == {
    "a": 3,
    "b": 3,
  }
  assert done[-6:] == [("a", 3), ("b", 1)] * 3


def test_a_table_shows_medians_and_what_is_missing():
  rows = [
    {"network": "a", "ms_per_step": timing.Spread((1.0, 3.0, 2.0))},
    {"network": "b", "ms_per_step": 1234.5, "memory_mib": 0.5},
  ]
  assert table.markdown(rows).splitlines() == [
    "| network | ms per step | memory MiB |",
    "| --- | ---: | ---: |",
    "| a | 2 [1-3] |  |",
    "| b | 1,234 | 0.5 |",
  ]
