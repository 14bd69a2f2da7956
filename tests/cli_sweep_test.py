"""The sweep of the shell: what it leaves, what it goes on from."""

import csv
import fcntl
import importlib
import json
import os
import shutil
import sys

import numpy as np
import pytest
from shell import call, rows_of

import ae_jax
from ae_jax import report
from ae_jax.cli import sweep
from ae_jax.engine.autotune import OutOfMemory
from ae_jax.engine.placement import Placement
from ae_jax.metrics.columns import GROUPS, METRICS
from ae_jax.run_folder import checkpoints, curves, results

SMALL = (
  "--config.sweep.objective=autoencoder,sparse",
  "--config.sweep.latent_size=2,5",
  "--config.sweep.seed=0",
  "--config.sweep.strength=0.1,1.0",
  "--config.fixed.num_epochs=2",
  "--config.fixed.widths=()",
)


@pytest.fixture(scope="session")
def images(tmp_path_factory):
  path = tmp_path_factory.mktemp("data") / "images.npy"
  rng = np.random.default_rng(0)
  np.save(path, rng.uniform(size=(40, 6, 6)).astype(np.float32))
  return path


@pytest.fixture(scope="session")
def small(images, tmp_path_factory):
  """A finished run of SMALL, and what it printed; not to be changed."""
  workdir = tmp_path_factory.mktemp("small") / "run"
  code, out, err = call(
    sweep.main,
    f"--workdir={workdir}",
    "--config.metrics=()",
    f"--config.data.path={images}",
    *SMALL,
  )
  assert code == 0, err
  return workdir, out


@pytest.fixture
def copy(small, tmp_path):
  """A copy of that run, which may be changed."""
  shutil.copytree(small[0], tmp_path / "run")
  return tmp_path / "run"


@pytest.fixture
def run(images, tmp_path, monkeypatch):
  """Calls the program; returns its workdir, exit code, stdout and stderr.

  It draws no page: that of `small` is drawn, and any_page_test has the others.
  """
  monkeypatch.chdir(tmp_path)
  monkeypatch.setattr(report, "write", lambda folder, *_, **__: folder)

  def run(*arguments, workdir=tmp_path / "run", data=images):
    argv = [f"--workdir={workdir}", "--config.metrics=()", *arguments]
    return workdir, *call(sweep.main, *argv, f"--config.data.path={data}")

  return run


def test_a_run_leaves_table_curves_config_and_models(small):
  workdir, out = small
  rows = rows_of(workdir, without=())
  assert len(rows) == 2 + 4
  assert {row["status"] for row in rows} == {"ok"}
  assert [*rows[0]][:3] == ["id", "status", "diverged_step"]
  assert [*rows[0]][-17:] == [
    *GROUPS["reconstruction"],
    *(f"pca_{name}" for name in GROUPS["reconstruction"]),
    "seconds",
    "evaluation_seconds",
    "metric_groups",
  ]
  assert {row["metric_groups"] for row in rows} == {"reconstruction"}
  assert {row["strength"] for row in rows} == {"", "0.1", "1.0"}
  for row in rows:
    assert curves.read_units(workdir, row["id"]) == {}
    with (workdir / "curves" / f"{row['id']}.csv").open() as file:
      curve = list(csv.DictReader(file))
    assert [line["epoch"] for line in curve] == ["1", "2"]
    assert curve[-1]["loss"] == row["loss"]
  config = json.loads((workdir / "config.json").read_text())
  assert {"jax", "flax", "python"} <= config["versions"].keys()
  assert config["devices"]
  assert config["config"]["fixed"]["num_epochs"] == 2
  assert config["config"]["sweep"]["latent_size"] == [2, 5]
  assert config["command"][0] == "program"
  saved = sorted((workdir / checkpoints.FOLDER).iterdir())
  assert len(saved) == 2
  for word in ("6 trials: 6 ok, 0 diverged", "PCA", "sparse", "results.csv"):
    assert word in out


def test_all_metrics_are_columns_with_labels(run, tmp_path):
  rng = np.random.default_rng(0)
  labels = rng.integers(0, 2, 40)
  x = rng.uniform(size=(40, 5)) * (1 + labels[:, None])
  np.savez(tmp_path / "mine.npz", x=x / 2, y=labels)
  workdir, code, out, err = run(
    f"--config.metrics={','.join(GROUPS)}",
    "--config.objective=vae",
    "--config.sweep.beta=1.0",
    "--config.sweep.latent_size=3",
    "--config.sweep.seed=0",
    "--config.fixed.num_epochs=1",
    data=tmp_path / "mine.npz",
  )
  assert code == 0, err
  (row,) = rows_of(workdir)
  # 32 train examples: no 100 nearest. No factors. Bounds are of a density.
  other_bounds = {
    n
    for n in GROUPS["likelihood"]
    if "density" not in n
    and not n.endswith(("_kl_nats", "_information_nats", "_active_units"))
  }
  expected = {
    n
    for n in METRICS
    if not n.endswith("precision_at_100")
    and n not in {*GROUPS["disentanglement"], *other_bounds, "udr"}
    and not {"anomaly", "imputation"} & {*n.split("_")}
  }
  assert {*row} & {*METRICS} == expected
  assert all(np.isfinite(float(row[name])) for name in expected)
  units = curves.read_units(workdir, row["id"])
  assert {*units} == {"mean", "std", "active_share", "singular_value", "kl"}
  assert all(unit.shape == (3,) for unit in units.values())
  for metric_group in {*GROUPS} - {"disentanglement"}:
    assert f"{metric_group} " in out


def test_without_memory_a_line_says_to_start_again(run, monkeypatch):
  def train_groups(*_, placements, **__):
    placements["key"] = Placement(1, 2)
    raise OutOfMemory("key", Placement(1, 2))

  monkeypatch.setattr(ae_jax.sweep, "train_groups", train_groups)
  workdir, code, _, err = run(*SMALL)
  assert code == 1
  last = err.splitlines()[-1]
  assert last.startswith("error: out of memory: ")
  assert last.endswith("run the same command again")
  assert json.loads((workdir / "placements.json").read_text()) == {
    "key": [1, 2]
  }


def test_the_same_command_trains_nothing_and_a_wider_grid_what_is_new(
  run, copy
):
  first = rows_of(copy, without=())
  _, code, out, _ = run(*SMALL)
  assert code == 0
  assert "0 trained" in out
  assert rows_of(copy, without=()) == first
  _, code, out, _ = run(*SMALL, "--config.sweep.latent_size=2,3,5")
  assert code == 0
  assert "3 trained" in out
  wider = rows_of(copy, without=())
  assert [row for row in wider if row["latent_size"] != "3"] == first
  assert len(wider) == 9


def test_other_data_are_refused(run, small, tmp_path):
  workdir, _ = small
  before = {p: p.stat().st_mtime_ns for p in workdir.rglob("*")}
  np.save(tmp_path / "other.npy", np.ones((10, 6, 6)))
  _, code, _, err = run(*SMALL, data=tmp_path / "other.npy", workdir=workdir)
  assert code == 2
  assert "holds a run on other data" in err
  assert err.count("\n") == 1
  after = {p: p.stat().st_mtime_ns for p in workdir.rglob("*")}
  lock = workdir / ".lock"  # says who looked last
  assert after | {lock: 0, workdir: 0} == before | {lock: 0, workdir: 0}


def test_other_settings_share_the_folder(run, copy):
  first = rows_of(copy, without=())
  other = ("--config.fixed.learning_rate=0.5", "--config.sweep.latent_size=2")
  _, code, out, err = run(*SMALL, *other)
  assert code == 0, err
  assert "3 trained" in out
  table = rows_of(copy, without=())
  assert table[: len(first)] == first
  assert {row["learning_rate"] for row in table[len(first) :]} == {"0.5"}


def test_an_objective_of_ones_own_file(run, tmp_path):
  (tmp_path / "my_losses.py").write_text(
    "import jax.numpy as jnp\n"
    "def cubic(model, params, key, batch, *, weight: float = 1.0):\n"
    "  z = model.encode(params, batch)\n"
    "  d = jnp.mean(model.nll(batch, model.decode(params, z)))\n"
    "  penalty = jnp.mean(jnp.abs(z) ** 3)\n"
    "  return d + weight * penalty, {'penalty': penalty, 'a,b': d}\n"
  )
  workdir, code, _, err = run(
    "--config.objective=my_losses:cubic",
    "--config.sweep.weight=0.0,10.0",
    "--config.sweep.latent_size=4",
    "--config.sweep.seed=0",
    "--config.fixed.num_epochs=20",
  )
  assert code == 0, err
  off, on = rows_of(workdir)
  assert curves.read_curves(workdir, off["id"])["a,b"].shape == (20,)
  assert off["objective"] == "my_losses:cubic"
  assert float(on["penalty"]) < float(off["penalty"])


def test_a_changed_loss_is_trained_again(run, tmp_path):
  path = tmp_path / "changing_loss.py"
  arguments = (
    "--config.objective=changing_loss:loss",
    "--config.sweep.latent_size=2",
    "--config.sweep.seed=0",
    "--config.fixed.num_epochs=1",
  )
  losses = []
  for factor in (1, 1000):
    path.write_text(
      "def loss(model, params, key, batch):\n"
      f"  return {factor} * batch.sum(), {{}}\n"
    )
    sys.modules.pop("changing_loss", None)
    importlib.invalidate_caches()
    workdir, code, out, err = run(*arguments)
    assert code == 0, err
    assert "1 trained" in out
    (row,) = rows_of(workdir)  # the model of the other loss is no choice
    losses.append(float(row["loss"]))
  assert "trials of earlier versions of a part: 1" in out
  assert losses[1] > 900 * losses[0]


def test_a_row_that_a_spreadsheet_wrote_is_kept(run, copy):
  before = rows_of(copy, without=())
  path = copy / results.RESULTS
  path.write_text(path.read_text().replace(",0.01,", ",1E-02,", 1))
  _, code, out, err = run(*SMALL)
  assert code == 0, err
  assert "0 trained" in out
  assert "measured" not in err
  assert "cannot be read" not in out
  after = rows_of(copy, without=())
  assert after == [before[0] | {"learning_rate": "1E-02"}, *before[1:]]


@pytest.mark.parametrize(
  ("lost", "num_trained"),
  [
    ("models", 6),
    ("a model and its row", 2),
    ("curves", 0),
    ("curve", 0),
    ("row's line end", 0),
    ("header", 0),
  ],
)
def test_what_was_lost_is_made_again(run, copy, lost, num_trained):
  before = rows_of(copy)
  files = sorted((copy / curves.CURVES).iterdir())
  path = copy / results.RESULTS
  match lost:
    case "models":
      shutil.rmtree(copy / checkpoints.FOLDER)
    case "a model and its row":  # of the autoencoders, which come first
      for file in (copy / checkpoints.FOLDER).glob("*/*/params/d/*"):
        if before[0]["id"] in (file.parents[3] / "manifest.json").read_text():
          file.write_bytes(file.read_bytes()[:-1])
      path.write_text(path.read_text().replace(before[0]["id"], "?", 1))
    case "curves":
      shutil.rmtree(copy / curves.CURVES)
    case "curve":
      files[0].write_text(files[0].read_text()[:-20])
    case "header":
      path.write_text(path.read_text().replace("num_epochs", "num_epoch$", 1))
    case _:
      path.write_bytes(path.read_bytes()[:-10])
  _, code, out, err = run(*SMALL)
  assert code == 0, err
  assert f"{num_trained} trained" in out
  after = {row["id"]: row for row in rows_of(copy)}
  assert after.keys() == {row["id"] for row in before}
  for row in before:
    # As by another batching of the trials, see sweep_test.
    np.testing.assert_allclose(
      float(after[row["id"]]["test_squared_error"]),
      float(row["test_squared_error"]),
      rtol=1e-4 if num_trained else 0,
    )
    loaded = ae_jax.load(copy, row["id"])
    assert loaded.history["loss"].shape == (2,)
    assert curves.are_intact(copy, row)
  _, code, out, _ = run(*SMALL)
  assert "6 are there already" in out


def test_a_model_that_was_trained_again_has_its_own_row(run, copy):
  """Nothing of the lost model's row stays."""
  before = rows_of(copy, without=())
  path = copy / results.RESULTS
  error = before[0]["test_squared_error"]
  path.write_text(path.read_text().replace(error, "123.0", 1))
  shutil.rmtree(copy / checkpoints.FOLDER)
  assert run(*SMALL)[1] == 0
  row = {row["id"]: row for row in rows_of(copy)}[before[0]["id"]]
  np.testing.assert_allclose(
    float(row["test_squared_error"]), float(error), rtol=1e-4
  )


def test_a_workdir_in_use_is_refused(run, copy):
  with (copy / ".lock").open("a") as lock:
    fcntl.flock(lock, fcntl.LOCK_EX)
    _, code, _, err = run(*SMALL)
  assert code == 2
  assert f"is in use by process {os.getpid()} on" in err


@pytest.mark.diverges
def test_a_diverged_trial_is_told(run):
  _, code, out, err = run(
    "--config.objective=autoencoder",
    "--config.sweep.latent_size=2",
    "--config.sweep.seed=0",
    "--config.sweep.learning_rate=1e-3,1e30",
    "--config.fixed.num_epochs=2",
  )
  assert code == 0, err
  assert "1 of 2 trials diverged: lower learning_rate or strength" in out
