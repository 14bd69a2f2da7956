"""Folders of others: nothing in them is lost, run or written through."""

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from shell import assert_one_line, call, run

from ae_jax import data as datasets
from ae_jax import report
from ae_jax.atomic import partial_of, replacing
from ae_jax.cli import report as report_program
from ae_jax.cli import use
from ae_jax.run_folder import checkpoints, results, run_config
from ae_jax.run_folder.snapshots import FOLDER as SNAPSHOTS
from ae_jax.types import UsageError

ROOT = Path(__file__).parent.parent
X = np.random.default_rng(0).uniform(size=(40, 6)).astype(np.float32)
SNAPSHOT = f"{'0a' * 5}-{1:012}.npz"


@pytest.fixture
def data(tmp_path):
  np.save(tmp_path / "x.npy", X)
  return tmp_path / "x.npy"


def test_a_folder_of_other_files_is_refused(data, tmp_path):
  mine = tmp_path / "mine"
  (mine / SNAPSHOTS).mkdir(parents=True)
  (mine / SNAPSHOTS / "novel.txt").write_text("once")
  (mine / report.REPORT).write_text("figures")
  assert_one_line(run(mine, data), "mine holds 'report.html' without config")
  assert {*os.listdir(mine)} == {SNAPSHOTS, report.REPORT}
  assert (mine / SNAPSHOTS / "novel.txt").read_text() == "once"
  assert (mine / report.REPORT).read_text() == "figures"


def test_what_a_run_leaves_before_it_is_one_is_no_content(data, tmp_path):
  workdir = tmp_path / "run"
  workdir.mkdir()
  (workdir / ".lock").write_text("process 1")
  partial_of(workdir / run_config.CONFIG).write_text("{")
  assert run(workdir, data)[0] == 0
  assert len(results.read_rows(workdir)) == 1


def test_only_snapshots_are_removed(data, tmp_path):
  workdir = tmp_path / "run"
  assert run(workdir, data)[0] == 0
  folder = workdir / SNAPSHOTS
  folder.mkdir()
  for name in ("novel.txt", "novel.npz", SNAPSHOT):
    (folder / name).write_text("once")
  code, _, err = run(workdir, data, "--config.sweep.seed=0,1")
  assert code == 0, err
  assert {*os.listdir(folder)} == {"novel.txt", "novel.npz"}
  for path in folder.iterdir():
    path.unlink()
  (folder / SNAPSHOT).write_text("once")
  assert run(workdir, data, "--config.sweep.seed=0,1,2")[0] == 0
  assert not folder.exists()


@pytest.fixture
def calls(monkeypatch):
  """What is made durable, renamed and removed, in order: (call, path)."""
  calls = []
  fsync, rename, unlink = os.fsync, os.rename, os.unlink

  def on_fsync(file):
    number = file if isinstance(file, int) else file.fileno()
    path = os.readlink(f"/proc/self/fd/{number}")
    fsync(file)
    calls.append(("fsync", path))

  def renaming(rename):
    def on_rename(source, target, **options):
      rename(source, target, **options)
      calls.append(("rename", os.fspath(target)))

    return on_rename

  def on_unlink(path, **options):
    unlink(path, **options)
    calls.append(("unlink", os.fspath(path)))

  monkeypatch.setattr(os, "fsync", on_fsync)
  monkeypatch.setattr(os, "rename", renaming(rename))
  monkeypatch.setattr(os, "replace", renaming(os.replace))
  monkeypatch.setattr(os, "unlink", on_unlink)
  return calls


def test_a_model_is_durable_before_its_row_and_that_before_snapshots_go(
  data, tmp_path, calls
):
  workdir = tmp_path / "run"
  code, _, err = run(workdir, data, "--config.snapshot_seconds=0")
  assert code == 0, err
  folder = workdir / checkpoints.FOLDER
  row = calls.index(("rename", f"{workdir / results.RESULTS}"))
  (manifest,) = folder.glob("*/manifest.json")
  sealed = calls.index(("rename", f"{manifest}"))
  model = {folder, *folder.rglob("*")} - {manifest}
  assert len(model) > 10
  synced = {path for call, path in calls[:sealed] if call == "fsync"}
  assert {*map(str, model), f"{workdir}"} <= synced
  assert ("fsync", f"{manifest.parent}") in calls[sealed:row]
  assert ("fsync", f"{workdir}") in calls[row:]
  durable = row + calls[row:].index(("fsync", f"{workdir}"))
  removed = [
    i
    for i, (call, path) in enumerate(calls)
    if call == "unlink" and path.endswith(".npz")
  ]
  assert removed
  assert min(removed) > durable


@pytest.fixture
def own(tmp_path):
  """A file of the user that nothing may write to."""
  path = tmp_path / "authorized_keys"
  path.write_text("key")
  yield path
  assert path.read_text() == "key"


def test_nothing_is_written_through_a_link(data, tmp_path, own):
  workdir = tmp_path / "run"
  assert run(workdir, data)[0] == 0
  # The names that such files had before they were drawn.
  links = [f".{report.REPORT}.partial", f".{results.RESULTS}.partial"]
  for name in (*links, report.REPORT, ".placements.json.lock"):
    (workdir / name).unlink(missing_ok=True)
    (workdir / name).symlink_to(own)
  assert call(report_program.main, workdir)[0] == 0
  assert not (workdir / report.REPORT).is_symlink()
  code, _, err = run(workdir, data, "--config.sweep.seed=0,1", page=True)
  assert code == 0, err
  (workdir / ".lock").unlink()
  (workdir / ".lock").symlink_to(own)
  assert_one_line(run(workdir, data), "run/.lock is a symbolic link")


@pytest.mark.parametrize("drawn", [False, True])
def test_a_name_that_is_a_link_already_is_not_followed(
  tmp_path, own, monkeypatch, drawn
):
  monkeypatch.setattr("secrets.token_hex", lambda n: "0" * 2 * n)
  path = tmp_path / "x"
  partial = partial_of(path) if drawn else tmp_path / ".x.partial"
  partial.symlink_to(own)
  refused = pytest.raises(FileExistsError)
  with refused if drawn else contextlib.nullcontext(), replacing(path) as file:
    file.write(b"new")
  assert partial.is_symlink()
  assert path.exists() != drawn


@pytest.mark.parametrize(
  "name", ["curves", "units", "checkpoints", "snapshots", "tensorboard"]
)
def test_a_folder_that_is_a_link_is_refused(data, tmp_path, name):
  workdir, elsewhere = tmp_path / "run", tmp_path / "elsewhere"
  assert run(workdir, data)[0] == 0
  if (workdir / name).exists():
    (workdir / name).rename(elsewhere)
  else:
    elsewhere.mkdir()
  before = {*elsewhere.rglob("*")}
  (workdir / name).symlink_to(elsewhere)
  more = "--config.sweep.seed=0,1"
  for result in (run(workdir, data, more), call(report_program.main, workdir)):
    assert_one_line(result, f"run/{name} is a symbolic link")
  assert {*elsewhere.rglob("*")} == before


def test_what_a_killed_process_left_half_written_is_removed(
  data, tmp_path, own
):
  workdir = tmp_path / "run"
  assert run(workdir, data)[0] == 0
  before = {*os.listdir(workdir)}
  partial_of(workdir / report.REPORT).write_text("<")
  partial_of(workdir / "curves" / "a.csv").write_text("1")
  kept = {".mine.partial", partial_of(workdir / "folder").name}
  link = partial_of(workdir / "link")
  link.symlink_to(own)
  for name in kept:
    (workdir / name).mkdir()
  code, _, err = run(workdir, data)
  assert code == 0, err
  assert {*os.listdir(workdir)} == before | kept | {link.name}
  assert not [*(workdir / "curves").glob(".*")]


# Runs `python -m ae_jax` with each of the arguments, in one process.
COMMANDS = """
import runpy, sys
for line in sys.argv[1:]:
  sys.argv = ["ae_jax", *line.split()]
  try:
    runpy.run_module("ae_jax", run_name="__main__")
  except SystemExit as exit:
    assert not exit.code, line
"""


def test_no_code_of_a_received_folder_is_run(data, tmp_path):
  workdir, mark = tmp_path / "run", tmp_path / "mark"
  assert run(workdir, data)[0] == 0
  names = "orjson", "tensorflow_datasets", "plotly", "jax", "matplotlib"
  for name in names:
    (workdir / f"{name}.py").write_text(f"open({str(mark)!r}, 'w')")
  done = subprocess.run(
    [sys.executable, "-c", COMMANDS, "report .", "encode . ../x.npy z.npy"],
    cwd=workdir,
    capture_output=True,
    text=True,
    env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": str(ROOT)},
  )
  assert done.returncode == 0, done.stderr
  assert (workdir / "z.npy").exists()
  assert not mark.exists()


@pytest.mark.parametrize(
  "key", ["pythonClassName", "python_class_name", "type"]
)
@pytest.mark.parametrize("file", ["features.json", "dataset_info.json"])
def test_a_dataset_names_no_module_to_import(key, file, tmp_path, monkeypatch):
  mark = tmp_path / "mark"
  (tmp_path / "hostile_module.py").write_text(f"open({str(mark)!r}, 'w')")
  monkeypatch.syspath_prepend(tmp_path)
  folder = tmp_path / "prepared" / "hostile" / "1.0.0"
  folder.mkdir(parents=True)
  inner = {key: "hostile_module.Feature", "content": {}}
  trusted = "tensorflow_datasets.core.features.features_dict.FeaturesDict"
  outer = {"pythonClassName": trusted, "featuresDict": {"features": {}}}
  (folder / "features.json").write_text(json.dumps(outer))
  outer["featuresDict"]["features"]["image"] = inner
  (folder / file).write_text(json.dumps(outer))
  with pytest.raises(UsageError, match="'hostile_module.Feature', which is no"):
    datasets.load(name="hostile", data_dir=tmp_path / "prepared")
  assert not mark.exists()


def test_a_page_prepares_no_dataset(tmp_path):
  def load(**options):
    return datasets.load(name="digits", data_dir=tmp_path / "new", **options)

  with pytest.raises(UsageError, match="digits is not prepared in .*new: "):
    load(prepare=False)
  assert [*tmp_path.iterdir()] == []
  expected = load()
  stored = [*tmp_path.rglob("ae_jax-*.npy")]
  assert stored
  for path in stored:
    path.unlink()
  before = {*tmp_path.rglob("*")}
  again = load(prepare=False)
  assert {*tmp_path.rglob("*")} == before
  np.testing.assert_array_equal(again.train, expected.train)
  with pytest.raises(UsageError, match="cannot be streamed"):
    load(prepare=False, stream=True)


@pytest.mark.parametrize("option", ["path", "labels_path", "test_path"])
@pytest.mark.parametrize("kind", ["pipe", "device", "folder"])
def test_data_that_is_no_file_is_refused(data, tmp_path, option, kind):
  path = Path("/dev/zero") if kind == "device" else tmp_path / "odd"
  if kind == "pipe":
    os.mkfifo(path)
  elif kind == "folder":
    path.mkdir()
  message = "Is a directory" if kind == "folder" else "no regular file"
  given = f"--config.data.{option}={path}"
  assert_one_line(run(tmp_path / "run", data, given), message)
  if option == "path":
    streamed = "--config.data.stream=True"
    assert_one_line(run(tmp_path / "run", path, streamed), message)
    workdir = tmp_path / "finished"
    assert run(workdir, data)[0] == 0
    result = call(use.main, "encode", workdir, path, tmp_path / "codes.npy")
    assert_one_line(result, message)
