"""A sweep goes on: between shell and Python, and with more metrics."""

import csv
import shutil
from pathlib import Path

import jax
import numpy as np
import pytest
from shell import call, rows_of, without_page

import ae_jax
from ae_jax import sweep as sweeps
from ae_jax.cli import evaluate as evaluate_program
from ae_jax.cli import sweep as sweep_program
from ae_jax.run_folder import results
from ae_jax.types import UsageError

ROOT = Path(__file__).parent.parent
RNG = np.random.default_rng(0)
Y = RNG.integers(0, 3, 60)
X = (RNG.uniform(size=(60, 6)) * (1 + Y[:, None]) / 3).astype(np.float32)
POINTS = ae_jax.grid.product(
  objective=("autoencoder", "vae"),
  latent_size=(2,),
  seed=(0, 1),
  num_epochs=(1,),
  learning_rate=(1e-2,),  # this and the next two: of the config of digits
  batch_size=(64,),
  schedule=("cosine",),
  widths=((),),
)
ARGUMENTS = (
  "--config.sweep.objective=autoencoder,vae",
  "--config.sweep.latent_size=2",
  "--config.sweep.seed=0,1",
  "--config.sweep.vae.beta=1.0",
  "--config.fixed.num_epochs=1",
  "--config.fixed.widths=()",
  "--config.metrics=()",
)
MORE = ("features", "noise")


def run_sweep(x, folder, points=POINTS, metrics=()):
  return ae_jax.run_sweep(
    points, x, folder=folder, metrics=metrics, progress=False
  )


def shell(workdir, path):
  with without_page():
    code, out, err = call(
      sweep_program.main,
      f"--workdir={workdir}",
      f"--config.data.path={path}",
      *ARGUMENTS,
    )
  assert code == 0, err
  return out


@pytest.fixture(scope="session")
def data(tmp_path_factory):
  path = tmp_path_factory.mktemp("data") / "x.npz"
  np.savez(path, x=X, y=Y)
  return path


@pytest.fixture(scope="session")
def little(data, tmp_path_factory):
  """A run with few metrics; not to be changed."""
  folder = tmp_path_factory.mktemp("little") / "run"
  run_sweep(data, folder)
  return folder


@pytest.fixture(scope="session")
def much(data, tmp_path_factory):
  """The same with more metrics, measured all at once."""
  folder = tmp_path_factory.mktemp("much") / "run"
  run_sweep(data, folder, metrics=MORE)
  return folder


@pytest.fixture
def copy(little, tmp_path):
  shutil.copytree(little, tmp_path / "run")
  return tmp_path / "run"


@pytest.fixture
def no_training(monkeypatch):
  def train_groups(*_, **__):
    raise AssertionError("it trains")

  monkeypatch.setattr(sweeps, "train_groups", train_groups)


def test_the_shell_goes_on_from_python(copy, data, no_training):
  before = rows_of(copy, without=())
  out = shell(copy, data)
  assert "4 are there already" in out
  assert "0 trained" in out
  assert rows_of(copy, without=()) == before


def test_python_goes_on_from_the_shell(little, data, tmp_path, monkeypatch):
  assert "4 trained" in shell(tmp_path / "run", data)
  before = rows_of(tmp_path / "run", without=())
  with monkeypatch.context() as patched:
    patched.setattr(sweeps, "train_groups", None)
    kept = run_sweep(data, tmp_path / "run")
  assert [row["id"] for row in kept.rows] == [row["id"] for row in before]
  assert rows_of(tmp_path / "run", without=()) == before
  # Nor does it matter who trained it.
  assert rows_of(tmp_path / "run") == rows_of(little)


@pytest.mark.parametrize("way", ["evaluate", "ae-jax evaluate", "run_sweep"])
def test_more_metrics_are_measured_of_the_models_on_disk(
  copy, much, data, no_training, way
):
  def times():
    return {p: p.stat().st_mtime_ns for p in copy.rglob("manifest.json")}

  models = times()
  assert len(models) == 2
  match way:
    case "evaluate":
      found = sweeps.evaluate(copy, MORE, progress=False)
      assert "test_probe_accuracy" in found.rows[0]
    case "run_sweep":
      assert (
        "test_probe_accuracy" in run_sweep(data, copy, metrics=MORE).rows[0]
      )
    case _:
      code, out, err = call(
        evaluate_program.main, copy, f"--metrics={','.join(MORE)}"
      )
      assert code == 0, err
      assert "4 trials" in out
  assert times() == models
  rows, expected = rows_of(copy), rows_of(much)
  assert [*rows[0]] == [*expected[0]]
  assert rows == expected


def test_what_is_measured_is_not_measured_again(copy, monkeypatch):
  sweeps.evaluate(copy, MORE, progress=False)
  before = (copy / results.RESULTS).stat().st_mtime_ns
  monkeypatch.setattr("ae_jax.evaluation.evaluate_group", None)
  again = sweeps.evaluate(copy, MORE, progress=False)
  assert len(again) == 4
  assert (copy / results.RESULTS).stat().st_mtime_ns == before


@pytest.mark.parametrize(
  ("arguments", "message"),
  [
    ([], "name one run directory; got 0"),
    (["no"], "no holds no run"),
    (["{}", "--metrics=sound"], "unknown metrics 'sound'"),
    (["{}", "--metric=noise"], "metric"),
  ],
)
def test_mistakes_of_evaluate(little, arguments, message):
  code, _, err = call(
    evaluate_program.main, *(text.format(little) for text in arguments)
  )
  assert code == 2
  assert err.startswith("error: ")
  assert err.count("\n") == 1
  assert message in err


def test_evaluate_wants_the_data_of_the_run(copy):
  other = ae_jax.data.from_arrays(X[::-1].copy())
  with pytest.raises(UsageError, match="its digest differs"):
    sweeps.evaluate(copy, MORE, other)


def test_the_same_sweep_in_one_process_compiles_nothing(data, tmp_path):
  run_sweep(data, tmp_path / "first", metrics=MORE)
  compiled = []

  def on_event(name, seconds, **_):
    if name == "/jax/core/compile/backend_compile_duration":
      compiled.append(seconds)

  jax.monitoring.register_event_duration_secs_listener(on_event)
  try:
    run_sweep(data, tmp_path / "second", metrics=MORE)
    ae_jax.run_sweep(POINTS, X, labels=Y, metrics=MORE, progress=False)
  finally:
    jax.monitoring.unregister_event_duration_listener(on_event)
  assert compiled == []


def test_no_damaged_line_of_the_table_raises(much, tmp_path, no_training):
  """A lone quote, a line end, any flipped bit: it is read or measured."""
  shutil.copytree(much, tmp_path / "run")
  path = tmp_path / "run" / results.RESULTS
  content = path.read_bytes()
  lines = content.split(b"\n")
  rng = np.random.default_rng(0)
  damaged = [
    content.replace(b",ok,", b',"ok,', 1),
    content + b'"' + b"x" * (csv.field_size_limit() + 1),
    content + b"\0\n",
    b"\n" * 3 + content,
    *(
      content[:at] + bytes([content[at] ^ (1 << bit)]) + content[at + 1 :]
      for at, bit in zip(
        [
          *rng.integers(0, len(content), 200),
          *rng.integers(0, len(lines[0]), 100),
        ],
        rng.integers(0, 8, 300),
        strict=True,
      )
    ),
  ]
  trials = ae_jax.grid.resolve(POINTS)
  with sweeps_folder(tmp_path / "run") as folder:
    for text in damaged:
      path.write_bytes(text)
      survey = folder.survey(trials, ("reconstruction", *MORE))
      assert survey.complete | survey.trained == {trial.id for trial in trials}
      folder.table()
      folder.rows([trial.id for trial in trials])
  for text in damaged[:3]:
    path.write_bytes(text)
    assert len(sweeps.evaluate(tmp_path / "run", MORE, progress=False)) >= 3


def sweeps_folder(path):
  from ae_jax.run_folder.folder import RunFolder

  return RunFolder.reopen(path)
