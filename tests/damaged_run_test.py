"""Damaged files of a run are made again, and none of them hangs a program."""

import json
import os
import shutil

import jax
import numpy as np
import pytest

import ae_jax
from ae_jax.run_folder import checkpoints, curves, results, run_config
from ae_jax.run_folder.placements import PLACEMENTS, Placements
from ae_jax.run_folder.snapshots import Snapshots
from ae_jax.types import UsageError

X = np.random.default_rng(0).uniform(size=(40, 6)).astype(np.float32)
POINTS = ae_jax.grid.product(
  objective=("vae",), latent_size=(2, 3), num_epochs=(2,), widths=((),)
)
METRICS = ("activity",)


def sweep(folder, metrics=METRICS):
  return ae_jax.run_sweep(
    POINTS, X, folder=folder, standardize=True, metrics=metrics, progress=False
  )


def series(folder):
  return {
    path.relative_to(folder): path.read_bytes()
    for kind in (curves.CURVES, curves.UNITS)
    for path in (folder / kind).iterdir()
  }


def measured(folder):
  """The table without times, by id."""
  return {
    trial_id: {k: v for k, v in row.items() if not k.endswith("seconds")}
    for trial_id, row in results.read_rows(folder).items()
  }


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
  folder = tmp_path_factory.mktemp("damaged") / "run"
  sweep(folder)
  assert len(series(folder)) == 4
  return folder


@pytest.fixture
def folder(finished, tmp_path):
  return shutil.copytree(finished, tmp_path / "run")


@pytest.mark.parametrize("kind", [curves.CURVES, curves.UNITS])
@pytest.mark.parametrize("damage", ["garbage", "short", "pipe"])
def test_damaged_curves_and_units_are_made_again(
  finished, folder, monkeypatch, kind, damage
):
  path = min((folder / kind).iterdir())
  if damage == "pipe":
    path.unlink()
    os.mkfifo(path)
  else:
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("garbage" if damage == "garbage" else "".join(lines[:-1]))
  monkeypatch.setattr("ae_jax.sweep.train_groups", None)
  sweep(folder)
  again, before = series(folder), series(finished)
  assert again.keys() == before.keys()
  for path, content in before.items():
    assert path.parts[0] == curves.UNITS or again[path] == content
  again, before = measured(folder), measured(finished)
  assert again.keys() == before.keys()
  for trial_id, row in before.items():
    for name, text in row.items():
      # A trial that is measured alone rounds as another program: 1e-6.
      same = again[trial_id][name] == text
      assert same or float(again[trial_id][name]) == pytest.approx(
        float(text), rel=1e-5
      )
  monkeypatch.setattr("ae_jax.evaluation.evaluate_group", None)
  sweep(folder)


def test_nothing_of_a_lost_model_is_joined(finished, folder):
  for path in (folder / curves.UNITS).iterdir():
    first, *lines = path.read_text().splitlines()
    path.write_text(
      "\n".join([f"{first},old", *(f"{line},1.0" for line in lines)])
    )
  shutil.rmtree(folder / checkpoints.FOLDER)
  sweep(folder)
  assert series(folder) == series(finished)


@pytest.mark.parametrize(
  ("name", "message"),
  [
    (run_config.CONFIG, "holds no run: config.json: It is no regular file"),
    (results.RESULTS, "cannot read .*results.csv: It is no regular file"),
    (run_config.STANDARDIZATION, "standardization.npz is absent or damaged"),
  ],
)
def test_a_pipe_is_one_line(folder, name, message):
  (folder / name).unlink()
  os.mkfifo(folder / name)
  with pytest.raises(UsageError, match=message):
    ae_jax.load(folder)


@pytest.mark.parametrize("name", ["manifest.json", "_CHECKPOINT_METADATA"])
def test_a_pipe_in_a_checkpoint_is_damage(folder, name):
  trial_id = min(results.read_rows(folder))
  for path in (folder / checkpoints.FOLDER).rglob(name):
    path.unlink()
    os.mkfifo(path)
  assert not checkpoints.intact(folder)
  with pytest.raises(UsageError):
    ae_jax.load(folder, trial_id)


def test_a_pipe_is_no_snapshot(folder, monkeypatch):
  said = []
  snapshots = Snapshots(folder, 60.0, said.append)
  path = folder / "snapshots" / f"{'0a' * 5}-{1:012}.npz"
  path.parent.mkdir()
  os.mkfifo(path)
  monkeypatch.setattr(snapshots, "_whose", lambda program, trials: "")
  monkeypatch.setattr("ae_jax.run_folder.snapshots._name", lambda _: "0a" * 5)
  assert snapshots.find(None, []) is None
  (line,) = said
  assert "is damaged" in line
  assert "no regular file" in line


@pytest.mark.parametrize(
  "cell", ["-" * 100_000 + "1", "(" * 5000, "[" * 5000, "1" * 5000, "(1,, 2)"]
)
def test_a_hostile_cell_is_text(folder, cell):
  for name in ("learning_rate", "widths"):
    rows = results.read_rows(folder).values()
    results.add_rows(folder, [row | {name: cell} for row in rows])
    assert ae_jax.load(folder).row[name] == cell


@pytest.mark.parametrize("name", ["latent_size", "num_epochs"])
@pytest.mark.parametrize("digits", ["1" * 5000, "1" * 11, "", "-1"])
def test_an_endless_number_is_no_row(folder, name, digits):
  first, *_ = rows = [*results.read_rows(folder).values()]
  results.add_rows(folder, [first | {name: digits}])
  assert len(results.read_rows(folder)) == len(rows) - 1
  assert results.num_unreadable(folder) == 1
  assert ae_jax.load(folder).row["id"] != first["id"]


@pytest.mark.parametrize(
  "value",
  [
    None,
    True,
    False,
    3,
    -3,
    10**12,
    0.5,
    1e-20,
    (),
    (4,),
    (4, 8),
    "a:b",
    "(a)",
  ],
)
def test_a_cell_comes_back(value):
  found = results.typed({"name": results._text(value)})["name"]
  assert found == value
  assert type(found) is type(value)


def test_only_placements_that_can_be_are_believed(tmp_path):
  devices = jax.local_device_count()
  given = {
    "good": [devices, 65536],
    "devices": [devices + 1, 1],
    "trials": [1, 65537],
    "none": [0, 1],
  }
  (tmp_path / PLACEMENTS).write_text(json.dumps(given))
  assert {*Placements(tmp_path)} == {"good"}
  for text in ('{"a": [Infinity, 1]}', "[" * 100_000, "[]", '{"a": [1]}'):
    (tmp_path / PLACEMENTS).write_text(text)
    assert not Placements(tmp_path)
  (tmp_path / PLACEMENTS).unlink()
  os.mkfifo(tmp_path / PLACEMENTS)
  assert not Placements(tmp_path)


def test_a_lock_that_is_a_pipe_is_one_line(folder):
  (folder / ".lock").unlink()
  os.mkfifo(folder / ".lock")
  with pytest.raises(UsageError, match="It is no regular file"):
    sweep(folder)
