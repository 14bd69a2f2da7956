"""The command line: every config, every mistake, a kill, a wider grid."""

import collections
import csv
import fcntl
import importlib
import json
import os
import re
import shutil
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from tensorboardX.proto import event_pb2

import ae_jax
from ae_jax import grid, tensorboard
from ae_jax.cli import flags, sweep
from ae_jax.engine.autotune import OutOfMemory
from ae_jax.engine.program import Placement
from ae_jax.metrics.registry import GROUPS, METRICS
from ae_jax.objectives import OBJECTIVES
from ae_jax.run_folder import checkpoints, curves, results

ROOT = Path(__file__).parent.parent
CONFIGS = sorted(p.name for p in flags.CONFIGS.glob("*.py"))
FEW_MEASURES = ("--config.metrics=()",)
SMALL = (
  "--config.sweep.objective=autoencoder,sparse",
  "--config.sweep.latent_size=2,5",
  "--config.sweep.seed=0",
  "--config.sweep.strength=0.1,1.0",
  "--config.fixed.num_epochs=2",
)


@pytest.fixture(scope="module")
def images(tmp_path_factory):
  """A small file of one's own; the configs' data would take too long."""
  path = tmp_path_factory.mktemp("data") / "images.npy"
  rng = np.random.default_rng(0)
  np.save(path, rng.uniform(size=(40, 6, 6)).astype(np.float32))
  return path


@pytest.fixture
def run(images, tmp_path, monkeypatch, capsys):
  """Calls the program; returns its workdir, exit code, stdout and stderr."""
  monkeypatch.chdir(tmp_path)

  def call(*arguments, workdir=tmp_path / "run", data=images):
    argv = ["sweep.py", f"--workdir={workdir}", *FEW_MEASURES, *arguments]
    if data is not None:
      argv.append(f"--config.data.path={data}")
    code = 0
    try:
      sweep.main(argv)
    except SystemExit as exit:
      code = exit.code
    out, err = capsys.readouterr()
    return workdir, code, out, err

  return call


def rows_of(workdir, without=("seconds", "evaluation_seconds")):
  with (workdir / results.RESULTS).open(newline="") as file:
    return [
      {k: v for k, v in row.items() if k not in without}
      for row in csv.DictReader(file)
    ]


def test_a_run_leaves_table_curves_config_and_models(run):
  workdir, code, out, err = run(*SMALL)
  assert code == 0, err
  rows = rows_of(workdir, without=())
  assert len(rows) == 2 + 4
  assert {row["status"] for row in rows} == {"ok"}
  assert [*rows[0]][:3] == ["id", "status", "diverged_step"]
  assert [*rows[0]][-12:] == [
    *GROUPS["reconstruction"],
    *(f"pca_{name}" for name in GROUPS["reconstruction"]),
    "seconds",
    "evaluation_seconds",
    "series",
    "checksum",
  ]
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
  saved = sorted((workdir / checkpoints.FOLDER).iterdir())
  assert len(saved) == 2
  for word in ("6 trials: 6 ok, 0 diverged", "PCA", "sparse", "results.csv"):
    assert word in out


def test_all_measures_are_columns_with_labels(run, tmp_path):
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
  # 32 training examples: there are no 100 nearest. A file has no factors.
  expected = {
    n
    for n in METRICS
    if not n.endswith("precision_at_100")
    and n not in {*GROUPS["disentanglement"], "udr"}
  }
  assert {*row} & {*METRICS} == expected
  assert all(np.isfinite(float(row[name])) for name in expected)
  units = curves.read_units(workdir, row["id"])
  assert {*units} == {"mean", "std", "active_share", "singular_value", "kl"}
  assert all(unit.shape == (3,) for unit in units.values())
  for metric_group in {*GROUPS} - {"disentanglement"}:
    assert f"{metric_group} " in out


def tf_records(path):
  """Records of a TFRECORD file: length, its checksum, data, its checksum."""
  content = path.read_bytes()
  while content:
    (length,) = struct.unpack("<Q", content[:8])
    yield content[12 : 12 + length]
    content = content[16 + length :]


def test_tensorboard_gets_the_learning_curves(run):
  workdir, code, _, err = run(*SMALL)
  assert code == 0, err
  assert not (workdir / tensorboard.FOLDER).exists()
  workdir, code, _, err = run(
    *SMALL, "--config.tensorboard=True", workdir=workdir.with_name("logged")
  )
  assert code == 0, err
  for row in rows_of(workdir):
    name = f"{row['objective']}-{row['id']}"
    (log,) = (workdir / tensorboard.FOLDER / name).iterdir()
    logged = collections.defaultdict(list)
    for record in tf_records(log):
      event = event_pb2.Event.FromString(record)
      for value in event.summary.value:
        logged[value.tag].append((event.step, value.simple_value))
    own = curves.read_curves(workdir, row["id"])
    assert {*logged} == {*own}
    for term, curve in own.items():
      steps, values = zip(*logged[term], strict=True)
      assert steps == (1, 2)
      np.testing.assert_array_equal(np.float32(values), np.float32(curve))


def test_tensorboard_goes_on_where_a_run_does(tmp_path):
  (trial,) = grid.resolve([{"num_epochs": 5}])
  board = tensorboard.TensorBoard(tmp_path)
  for epoch in (4, 5):
    board.on_epoch([trial], epoch, {"loss": np.array([float(epoch)])})
  (log,) = (tmp_path / tensorboard.FOLDER).glob("*/*")
  events = [event_pb2.Event.FromString(record) for record in tf_records(log)]
  assert [e.step for e in events if e.summary.value] == [4, 5]


def test_a_process_without_memory_is_not_started_for_ever(tmp_path, capsys):
  (tmp_path / "placements.json").mkdir()  # so that no placement can be kept
  error = OutOfMemory("key", Placement(1, 2))
  with pytest.raises(SystemExit) as raised:
    sweep._start_again(tmp_path, error, 0)
  assert raised.value.code == 1
  assert "error: out of memory" in capsys.readouterr().err


def test_the_same_command_trains_nothing_and_a_wider_grid_what_is_new(run):
  workdir, code, _, _ = run(*SMALL)
  first = rows_of(workdir, without=())
  _, code, out, _ = run(*SMALL)
  assert code == 0
  assert "0 trained" in out
  assert rows_of(workdir, without=()) == first
  _, code, out, _ = run(*SMALL, "--config.sweep.latent_size=2,3,5")
  assert code == 0
  assert "3 trained" in out
  wider = rows_of(workdir, without=())
  assert [row for row in wider if row["latent_size"] != "3"] == first
  assert len(wider) == 9


@pytest.mark.parametrize(
  "other",
  ["--config=vae.py", "--config.fixed.learning_rate=0.5", "data"],
)
def test_another_configuration_is_refused(run, tmp_path, other):
  workdir, _, _, _ = run(*SMALL)
  before = {p: p.stat().st_mtime_ns for p in workdir.rglob("*")}
  if other == "data":
    path = tmp_path / "images.npy"
    np.save(path, np.ones((10, 6, 6)))
    _, code, _, err = run(*SMALL, data=path)
  else:
    arguments = SMALL if "=vae" not in other else ()
    _, code, _, err = run(*arguments, other)
  assert code == 2
  assert "belongs to another configuration" in err
  assert err.count("\n") == 1
  assert {p: p.stat().st_mtime_ns for p in workdir.rglob("*")} == before


MISTAKES = {
  "too many logs": (
    [
      "--config.tensorboard=True",
      f"--config.sweep.seed={tuple(range(300))}",
      "--config.sweep.objective=autoencoder",
      "--config.sweep.latent_size=2",
    ],
    "a log open for each of 300 trials",
  ),
  "unknown metrics": (
    ["--config.metrics=sound"],
    "unknown metrics 'sound'; allowed: reconstruction, features",
  ),
  "unknown field": (
    ["--config.fixed.epochs=3"],
    "epochs.*config.fixed.num_epochs",
  ),
  "unknown section": (["--config.nonsense=3"], "nonsense.*config.objective"),
  "unknown flag": (["--workdri=x"], "workdri"),
  "stray argument": (["digits"], "digits"),
  "wrong type": (["--config.fixed.num_epochs=many"], "num_epochs.*many"),
  "wrong type in a sweep": (
    ["--config.sweep.latent_size=(2,'x')"],
    "latent_size must be of type int",
  ),
  "not values": (["--config.sweep.seed=0,,"], r"sweep\.seed.*0,,"),
  "unknown objective": (
    ["--config.objective=autoencodr"],
    "autoencodr.*available: autoencoder, sparse",
  ),
  "unknown module": (["--config.objective=no_such:loss"], "no_such"),
  "hyper-parameter that the objective lacks": (
    ["--config.objective=autoencoder", "--config.sweep.strength=0.1"],
    "'strength'.*objective autoencoder has none",
  ),
  "empty grid": (["--config.sweep.latent_size=()"], "grid is empty"),
  "latent size 0": (["--config.sweep.latent_size=0,2"], "at least 1; got 0"),
  "missing config": (["--config=no_such.py"], "no_such.py.*digits.py"),
  "unknown dataset": (["--config.data.name=mnits"], "mnits.*mnist"),
  "missing file": (["--config.data.path=no_such.npy"], "no_such.npy"),
  "NaN": (["--config.data.path=nan.npy"], r"NaN.*\(3, 1\)"),
  "object array": (["--config.data.path=object.npy"], "object.npy"),
  "ragged array": (["--config.data.path=ragged.npy"], "ragged.npy"),
  "one example": (
    ["--config.data.path=one.npy"],
    "at least three examples.*got 1",
  ),
  "workdir is a file": (["--workdir=one.npy"], "one.npy"),
  "workdir of something else": (
    ["--workdir=other"],
    "holds .* without config.json",
  ),
  "empty workdir": (["--workdir="], "--workdir is empty"),
  "empty config": (["--config="], "no config file ''"),
  "config that is no config": (
    ["--config=mine.py"],
    "mine.py lacks the fields data, fixed",
  ),
  "two examples": (
    ["--config.data.path=two.npy"],
    "at least three examples.*got 2",
  ),
  "no memory": (["--config.memory_gb=0"], "memory_gb must be above 0"),
  "objective twice": (
    ["--config.objective=vae", "--config.sweep.objective=sparse"],
    "config.objective or config.sweep.objective",
  ),
  "axis of an axis": (["--config.sweep.latent_size.x=3"], "latent_size is a"),
  "values of an objective": (["--config.sweep.sparse=0.1"], "sparse is an obj"),
  "axis of an unknown module": (["--config.sweep.a.b:c.w=1"], "cannot load.*a"),
  "loss that raises": (
    ["--config.objective=bad_losses:loss"],
    r"bad_losses:loss \(line 2\) raised AttributeError.*encoder",
  ),
  "hyper-parameter named as a column": (
    ["--config.objective=bad_losses:named"],
    "'id'.*no other column's",
  ),
  "module that raises": (["--config.objective=raising:f"], "division by zero"),
  "negative strength": (
    ["--config.objective=sparse", "--config.sweep.strength=-1"],
    r"strength must be in \[0.0, inf\]; got -1.0",
  ),
  "target of 1.5": (
    ["--config.objective=sparse_kl", "--config.sweep.target=1.5"],
    "target must be in",
  ),
  "bernoulli of other data": (
    ["--config.data.path=wide.npy", "--config.fixed.likelihood=bernoulli"],
    r"needs data in \[0, 1\]; these are in \[-",
  ),
  "unwritable workdir": (["--workdir=/proc/ae_jax"], "cannot write"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_line_and_exit_code_2(
  mistake, tmp_path, monkeypatch, capsys
):
  monkeypatch.chdir(tmp_path)
  np.save("nan.npy", [[0.0, 1.0]] * 3 + [[0.0, np.nan]])
  np.save("object.npy", np.array([{}, {}]), allow_pickle=True)
  np.save(
    "ragged.npy", np.array([[0], [0, 1]], dtype=object), allow_pickle=True
  )
  np.save("one.npy", np.zeros((1, 4)))
  Path("other").mkdir()
  Path("other", "results.csv").write_text("mine")
  np.save("two.npy", np.zeros((2, 4)))
  np.save("wide.npy", np.linspace(-3, 3, 40).reshape(10, 4))
  Path("mine.py").write_text(
    "def get_config():\n  return {'objective': 'vae'}\n"
  )
  Path("bad_losses.py").write_text(
    "def loss(model, params, key, batch):\n  return model.encoder(batch)\n"
    "def named(model, params, key, batch, *, id: float = 1.0):\n"
    "  return batch.sum(), {}\n"
  )
  Path("raising.py").write_text("1 / 0\n")
  monkeypatch.syspath_prepend(tmp_path)
  arguments, message = MISTAKES[mistake]
  with pytest.raises(SystemExit) as raised:
    sweep.main(
      ["sweep.py", f"--config.data.data_dir={tmp_path / 'tfds'}", *arguments]
    )
  assert raised.value.code == 2
  out, err = capsys.readouterr()
  *before, last = err.splitlines()
  assert before in ([], [f"preparing digits in {tmp_path / 'tfds'} (once)"])
  assert last.startswith("error: ")
  assert len(last) < 450
  assert "\\" not in last
  assert re.search(message, last), last
  assert "Traceback" not in out + err
  assert not Path("runs").exists()


@pytest.mark.parametrize(
  ("text", "values"),
  [
    ("2, 8", (2, 8)),
    ("(2, 8)", (2, 8)),
    ("[0.1]", (0.1,)),
    ("8", (8,)),
    ("vae,sparse", ("vae", "sparse")),
    ("('vae', 'sparse')", ("vae", "sparse")),
    ("(vae, sparse)", ("vae", "sparse")),
    ("my_module:my_loss", ("my_module:my_loss",)),
    ("((64,), (64, 32))", ((64,), (64, 32))),
    ("()", ()),
  ],
)
def test_values_of_an_axis(text, values):
  assert flags.parse_values("x", text) == values


def test_an_axis_of_the_command_line_replaces_those_of_objectives():
  line = flags.parse(
    ["x", "--config.sweep.strength", "-0.5", "--config.sweep.vae.beta=2.0"]
  )
  assert line.path.name == "digits.py"
  assert line.axes["strength"] == (-0.5,)
  assert line.axes["vae"] == {"beta": (2.0,)}
  assert line.axes["sparse"] == {}
  assert line.axes["denoising"]["noise"] == (0.1,)


def test_every_objective_has_a_place_in_a_config():
  swept = set()
  for name in CONFIGS:
    swept |= {*flags.parse(["x", f"--config={name}"]).axes["objective"]}
  assert swept == {*OBJECTIVES}


@pytest.mark.parametrize("name", CONFIGS)
def test_every_config_runs(run, tmp_path, name):
  np.save(tmp_path / "labels.npy", np.arange(40) % 3)
  swept = flags.parse(["x", f"--config={name}"]).axes
  axes = {"seed": (0,), "latent_size": (2,)}
  for key, values in swept.items():
    own = values if isinstance(values, dict) else {"": values}
    for name_of_own, few in own.items():
      axis = f"{key}.{name_of_own}".rstrip(".")
      if axis not in (*axes, "objective"):
        axes[axis] = ("class",) if name_of_own == "pairs" else (few[-1],)
  workdir, code, out, err = run(
    f"--config={name}",
    "--config.metrics=reconstruction",  # all of them: see below
    "--config.fixed.num_epochs=1",
    f"--config.data.labels_path={tmp_path / 'labels.npy'}",
    *(f"--config.sweep.{key}={values!r}" for key, values in axes.items()),
  )
  assert code == 0, err
  rows = rows_of(workdir)
  assert {row["status"] for row in rows} == {"ok"}
  assert {row["objective"] for row in rows} == {*swept["objective"]}


def test_an_objective_of_ones_own_file(run, tmp_path, monkeypatch):
  monkeypatch.syspath_prepend(tmp_path)
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


def test_a_changed_loss_is_trained_again(run, tmp_path, monkeypatch):
  monkeypatch.syspath_prepend(tmp_path)
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
  assert "trials of earlier versions of a loss: 1" in out
  assert losses[1] > 900 * losses[0]


def test_a_changed_row_is_trained_again(run):
  workdir, _, _, _ = run(*SMALL)
  before = rows_of(workdir)
  path = workdir / results.RESULTS
  content = path.read_text()
  error = before[0]["test_squared_error"]
  path.write_text(content.replace(error, error[:-1] + "0", 1))
  _, code, out, err = run(*SMALL)
  assert code == 0, err
  assert f"1 rows of {path} were changed" in out
  assert "1 trained" in out
  after = {row["id"]: row for row in rows_of(workdir)}
  # As by another batching of the trials, see sweep_test.
  for row in before:
    again = float(after[row["id"]]["test_squared_error"])
    np.testing.assert_allclose(
      again, float(row["test_squared_error"]), rtol=1e-4
    )
    assert ae_jax.load(workdir, row["id"]).row["id"] == row["id"]


@pytest.mark.parametrize(
  "lost", ["model", "curves", "curve", "a digit of a curve", "row's line end"]
)
def test_what_was_lost_is_made_again(run, lost):
  workdir, _, _, _ = run(*SMALL)
  before = rows_of(workdir)
  files = sorted((workdir / curves.CURVES).iterdir())
  match lost:
    case "model":
      shutil.rmtree(workdir / checkpoints.FOLDER)
    case "curves":
      shutil.rmtree(workdir / curves.CURVES)
    case "curve":
      files[0].write_text(files[0].read_text()[:-20])
    case "a digit of a curve":
      text = files[0].read_text().rstrip()
      files[0].write_text(f"{text[:-1]}{(int(text[-1]) + 1) % 10}\n")
    case _:
      path = workdir / results.RESULTS
      path.write_bytes(path.read_bytes()[:-10])
  _, code, out, err = run(*SMALL)
  assert code == 0, err
  assert "trained again" in out
  after = {row["id"]: row for row in rows_of(workdir)}
  assert after.keys() == {row["id"] for row in before}
  for row in before:
    # As by another batching of the trials, see sweep_test.
    np.testing.assert_allclose(
      float(after[row["id"]]["test_squared_error"]),
      float(row["test_squared_error"]),
      rtol=1e-4,
    )
    ae_jax.load(workdir, row["id"])
  _, code, out, _ = run(*SMALL)
  assert "6 are there already" in out


def test_a_workdir_in_use_is_refused(run, tmp_path):
  workdir, _, _, _ = run(*SMALL)
  with (workdir / ".lock").open("a") as lock:
    fcntl.flock(lock, fcntl.LOCK_EX)
    _, code, _, err = run(*SMALL)
  assert code == 2
  assert f"is in use by process {os.getpid()} on" in err


@pytest.mark.slow
def test_kill_9_in_the_middle_keeps_what_was_finished(images, tmp_path):
  def start(workdir):
    return subprocess.Popen(
      [
        sys.executable,
        ROOT / "experiments" / "sweep.py",
        *FEW_MEASURES,
        *SMALL,
        "--config.sweep.objective=autoencoder,sparse,denoising,vae",
        f"--config.data.path={images}",
        f"--workdir={workdir}",
      ],
      stdout=subprocess.PIPE,
      stderr=subprocess.DEVNULL,
      text=True,
      env=os.environ | {"JAX_COMPILATION_CACHE_DIR": str(tmp_path / "cache")},
    )

  whole, killed = tmp_path / "whole", tmp_path / "killed"
  process = start(killed)
  deadline = time.monotonic() + 120
  while not (killed / results.RESULTS).exists():
    assert process.poll() is None
    assert time.monotonic() < deadline
    time.sleep(0.02)
  process.send_signal(signal.SIGKILL)
  process.wait()
  process.stdout.close()
  finished = rows_of(killed, without=())
  for workdir in (killed, whole):
    process = start(workdir)
    out, _ = process.communicate()
    assert process.returncode == 0
    if workdir == killed:
      assert f"{len(finished)} are there already" in out
  for before, after in zip(finished, rows_of(killed, without=()), strict=False):
    assert before.items() <= after.items()
  # The same programs on the same machine: the same bits, times aside.
  assert rows_of(killed) == rows_of(whole)
