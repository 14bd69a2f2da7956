"""Odd paths, read-only folders, hostile files: one line, nothing outside."""

import os
import pickle
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
from shell import assert_one_line, call, run

import ae_jax
from ae_jax import report
from ae_jax.cli import report as report_program
from ae_jax.cli import use
from ae_jax.run_folder import checkpoints, results, run_config, snapshots
from ae_jax.types import UsageError

X = np.random.default_rng(0).uniform(size=(40, 6)).astype(np.float32)


@pytest.mark.parametrize(
  "name",
  [
    "with space",
    "ümläut 漢字 🙂",
    'quote\'s "and" `tick`',
    "100%25 #1 {a,b} 50% ~",
    "$(touch hacked); touch hacked & x|y",
    "<b onload=alert(1)>",
    "-dash",
    "a=b,c",
    "new\nline\ttab",
  ],
)
def test_any_name_will_do(name, tmp_path, monkeypatch):
  folder = tmp_path / name
  folder.mkdir()
  monkeypatch.chdir(folder)
  np.save(folder / f"{name}.npy", X)
  code, out, err = run(folder / name, folder / f"{name}.npy")
  assert code == 0, err
  code, _, err = call(report_program.main, folder / name)
  assert code == 0, err
  page = (folder / name / report.REPORT).read_text()
  assert "<b onload" not in page
  code, _, err = call(
    use.main, "encode", folder / name, f"./{name}.npy", "codes.npy"
  )
  assert code == 0, err
  trained = ae_jax.load(folder / name)
  np.testing.assert_array_equal(np.load("codes.npy"), trained.encode(X))
  assert sorted(os.listdir(tmp_path)) == [name]
  assert {*os.listdir()} == {name, f"{name}.npy", "codes.npy"}


@pytest.mark.parametrize("name", ["a*", "a?", "[0-9]", "a\\b", "**"])
def test_what_orbax_takes_for_a_pattern_is_refused(name, tmp_path):
  np.save(tmp_path / "x.npy", X)
  result = run(tmp_path / name / "run", tmp_path / "x.npy")
  assert_one_line(result, "in its path, which Orbax cannot save to")
  assert os.listdir(tmp_path) == ["x.npy"]
  (tmp_path / "run").mkdir()
  assert run(tmp_path / "run", tmp_path / "x.npy")[0] == 0
  (tmp_path / "run").rename(tmp_path / name)
  with pytest.raises(UsageError, match="which Orbax cannot"):
    ae_jax.load(tmp_path / name)


def test_a_name_that_is_too_long(tmp_path):
  np.save(tmp_path / "x.npy", X)
  long = tmp_path / ("x" * 300)
  assert_one_line(run(long, tmp_path / "x.npy"), "[Nn]ame too long")
  assert_one_line(run(tmp_path / "run", f"{long}.npy"), "[Nn]ame too long")


def test_a_home_of_nobody(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  np.save("x.npy", X)
  assert_one_line(run("run", "~no_such_user/x.npy"), "cannot read.*~no_such")
  assert run("~no_such_user", "x.npy", page=True)[0] == 0
  assert (tmp_path / "~no_such_user" / report.REPORT).exists()


def test_symbolic_links(tmp_path):
  (tmp_path / "real").mkdir()
  (tmp_path / "elsewhere").mkdir()
  np.save(tmp_path / "real.npy", X)
  link = tmp_path / "elsewhere" / "real.npy"
  link.symlink_to("../real.npy")
  (tmp_path / "run").symlink_to("real")
  assert run(tmp_path / "run", link)[0] == 0
  assert (tmp_path / "run").is_symlink()
  rows = results.read_rows(tmp_path / "real")
  assert len(rows) == 1
  code, out, _ = run(tmp_path / "real", tmp_path / "real.npy")
  assert code == 0
  assert "1 are there already" in out
  for name, target in (("loop", "loop"), ("nowhere", "gone")):
    link = tmp_path / name
    link.symlink_to(target)
    assert_one_line(run(link, tmp_path / "real.npy"), f"cannot write.*{name}")
    assert_one_line(run(tmp_path / "new", link), name)
  assert not (tmp_path / "gone").exists()


@pytest.fixture
def read_only(tmp_path):
  """Makes a folder read-only; of root by a mount, whom no mode keeps out."""
  mounts = []

  def read_only(folder):
    if os.geteuid():
      folder.chmod(0o500)
      return
    for options in (["--bind"], ["-o", "remount,ro,bind"]):
      mount = ["mount", *options, folder, folder]
      if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("root needs to mount a read-only folder")
    mounts.append(folder)

  yield read_only
  for folder in mounts:
    subprocess.run(["umount", folder], check=True)
  tmp_path.chmod(0o700)


def test_read_only_folders(tmp_path, read_only):
  finished, data, empty = (tmp_path / n for n in ("run", "data", "empty"))
  data.mkdir()
  empty.mkdir()
  np.save(data / "x.npy", X)
  for folder in (data, empty):
    read_only(folder)
  assert_one_line(
    run(empty, data / "x.npy"), "cannot write.*empty.*(Read-only|Permission)"
  )
  assert_one_line(run(empty / "new", data / "x.npy"), "cannot write.*empty/new")
  assert run(finished, data / "x.npy")[0] == 0
  read_only(finished)
  assert_one_line(run(finished, data / "x.npy"), "cannot write to folder")
  codes = tmp_path / "codes.npy"
  code, _, err = call(use.main, "encode", finished, data / "x.npy", codes)
  assert code == 0, err
  assert np.load(codes).shape == (40, 2)
  assert_one_line(
    call(use.main, "encode", finished, data / "x.npy", empty / "codes.npy"),
    "cannot write.*codes.npy",
  )
  assert_one_line(call(report_program.main, finished), "cannot write.*report")


@pytest.mark.parametrize(
  ("content", "message"),
  [
    (b"def get_config(:\n", "line 1: "),
    (b"\x00\x01", "null byte"),
    (b"x = '\xff\xfe'\n", "utf-8|unicode"),
    (b"import no_such_module_here", "no_such_module_here"),
    (b"1 / 0", "ZeroDivisionError"),
    (
      b"def get_config():\n  raise ValueError('too\\nbad')",
      "mine.py: line 2: ValueError: too bad",
    ),
    (b"def get_config():\n  return get_config()", "RecursionError"),
    (b"def get_config():\n  raise SystemExit", "SystemExit"),
    (b"def get_config():\n  return None", "returns None"),
    (b"x = 1", "get_config"),
    (
      b"from ae_jax.cli.config import base\n"
      b"def get_config():\n  c = base()\n  c.metrcs = ('noise',)\n  return c",
      "unknown field config.metrcs; did you mean config.metrics",
    ),
    (
      b"from ae_jax.cli.config import base\n"
      b"def get_config():\n  c = base()\n  c.data.pth = 'x'\n  return c",
      "unknown field config.data.pth; did you mean config.data.path",
    ),
    (
      b"from ae_jax.cli.config import base\n"
      b"def get_config():\n  c = base()\n  c.sweep = 3\n  return c",
      "sweep",
    ),
    (
      b"from ae_jax.cli.config import base\n"
      b"def get_config():\n  c = base()\n  c.fixed.num_epochs = 'x'\n"
      b"  return c",
      "num_epochs",
    ),
    (
      b"from ae_jax.cli.config import base\n"
      b"def get_config():\n  c = base()\n  c.data = None\n  return c",
      "data",
    ),
  ],
)
def test_a_config_that_is_broken(content, message, tmp_path, monkeypatch):
  # As in a fresh process: else names of the config before it are there.
  monkeypatch.delitem(sys.modules, "config_config", raising=False)
  np.save(tmp_path / "x.npy", X)
  config = tmp_path / "mine.py"
  config.write_bytes(content)
  result = run(tmp_path / "run", tmp_path / "x.npy", f"--config={config}")
  assert_one_line(result, message)
  assert not (tmp_path / "run").exists()


STANDARDIZED = ("--config.data.standardize=True",)


class Payload:
  """What makes a file when it is unpickled."""

  def __init__(self, path):
    self.path = path

  def __reduce__(self):
    return (open, (str(self.path), "w"))


def test_nothing_is_unpickled(tmp_path, monkeypatch):
  mark = tmp_path / "unpickled"
  hostile = np.array([Payload(mark)] * 40)
  np.save(tmp_path / "x.npy", X)
  np.save(tmp_path / "bad.npy", hostile, allow_pickle=True)
  np.savez(tmp_path / "bad.npz", x=hostile)
  (tmp_path / "bare.npy").write_bytes(pickle.dumps(Payload(mark)))
  for name in ("bad.npy", "bad.npz", "bare.npy"):
    for option in ("path", "labels_path", "test_path"):
      paths = [f"--config.data.{option}={tmp_path / name}"]
      result = run(tmp_path / "run", tmp_path / "x.npy", *paths)
      assert_one_line(result, re.escape(name))
    streamed = ["--config.data.stream=True"]
    assert_one_line(run(tmp_path / "run", tmp_path / name, *streamed), name)
  workdir = tmp_path / "run"
  assert run(workdir, tmp_path / "x.npy", *STANDARDIZED)[0] == 0
  for name in ("bad.npy", "bad.npz", "bare.npy"):
    outputs = tmp_path / "codes.npy"
    result = call(use.main, "encode", workdir, tmp_path / name, outputs)
    assert_one_line(result, re.escape(name))
  np.savez(workdir / run_config.STANDARDIZATION, mean=hostile, std=hostile)
  result = call(
    use.main, "encode", workdir, tmp_path / "x.npy", tmp_path / "codes.npy"
  )
  assert_one_line(result, f"{run_config.STANDARDIZATION} is absent or damaged")
  (workdir / snapshots.FOLDER).mkdir()
  monkeypatch.setattr(snapshots, "_name", lambda whose: "0a")
  np.savez(workdir / snapshots.FOLDER / "0a-3.npz", of=hostile)
  (workdir / results.RESULTS).unlink()
  shutil.rmtree(workdir / checkpoints.FOLDER)
  code, _, err = run(workdir, tmp_path / "x.npy", *STANDARDIZED)
  assert code == 0, err
  assert "0a-3.npz is damaged" in err
  assert not mark.exists()
