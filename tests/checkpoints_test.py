"""Trained models come back from disk, or say that they are damaged."""

import dataclasses
import shutil

import jax
import numpy as np
import pytest

import ae_jax
from ae_jax import grid
from ae_jax.engine.input_pipeline import InMemory
from ae_jax.engine.program import Placement, compile_program
from ae_jax.engine.training_loop import run_program
from ae_jax.run_folder import checkpoints
from ae_jax.types import UsageError
from experiments import sweep as program

X = np.random.default_rng(0).uniform(size=(40, 6)).astype(np.float32)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
  """A finished run of two groups."""
  folder = tmp_path_factory.mktemp("run")
  np.save(folder / "x.npy", X)
  program.main(
    [
      "sweep.py",
      f"--workdir={folder / 'out'}",
      f"--config.data.path={folder / 'x.npy'}",
      "--config.sweep.objective=sparse,vae",
      "--config.sweep.latent_size=2,5",
      "--config.sweep.strength=0.1",
      "--config.sweep.beta=1.0",
      "--config.sweep.seed=0,1",
      "--config.fixed.num_epochs=2",
      "--config.metrics=()",
    ]
  )
  return folder / "out"


def test_a_model_that_was_found_is_not_written_again(
  tmp_path, monkeypatch, capsys
):
  np.save(tmp_path / "x.npy", X)
  command = [
    "sweep.py",
    f"--workdir={tmp_path / 'out'}",
    f"--config.data.path={tmp_path / 'x.npy'}",
    "--config.objective=autoencoder",
    "--config.sweep.latent_size=2",
    "--config.fixed.num_epochs=1",
    "--config.metrics=()",
  ]

  def killed(*_):
    raise KeyboardInterrupt

  with monkeypatch.context() as patched:
    patched.setattr(program.sweep, "metric", killed)
    with pytest.raises(KeyboardInterrupt):
      program.main(command)
  (seal,) = (tmp_path / "out").rglob("seal.json")
  written = seal.stat().st_mtime_ns, seal.stat().st_ino
  program.main(command)
  assert (seal.stat().st_mtime_ns, seal.stat().st_ino) == written
  assert "2 trials were trained before" in capsys.readouterr().err


def test_a_loaded_model_is_the_one_in_the_table(run):
  rows = program.ledger.read_rows(run)
  assert len(rows) == 8
  for trial_id, row in rows.items():
    trained = ae_jax.load(run, trial_id)
    assert trained.encode(X).shape == (40, int(row["latent_size"]))
    error = np.sum((X - trained.reconstruct(X)) ** 2, axis=1)
    # The run held a fifth out; both parts together are all of X.
    expected = 0.8 * float(row["train_squared_error"]) + 0.2 * float(
      row["test_squared_error"]
    )
    np.testing.assert_allclose(np.mean(error), expected, rtol=1e-4)


def test_unknown_trial(run):
  with pytest.raises(UsageError, match="no trained trial 'abc'"):
    checkpoints.load(run, ["abc"])


@pytest.fixture
def saved(tmp_path, open_workdir):
  """A chunk on disk."""
  open_workdir(tmp_path)
  trials = grid.resolve(
    [{"num_epochs": 2, "latent_size": size} for size in (3, 2)]
  )
  pipeline = InMemory(X)
  chunk = run_program(
    compile_program(trials, pipeline, Placement(1, 2)), trials, pipeline
  )
  checkpoints.save(tmp_path, chunk)
  return chunk


def test_a_chunk_is_found_again_to_the_bit(saved, tmp_path):
  found = checkpoints.find(tmp_path, saved.trials, saved.spec)
  assert found.trials == saved.trials
  assert found[-2:] == saved[-2:]
  jax.tree.map(
    np.testing.assert_array_equal,
    (found.params, found.history, found.diverged_at),
    (saved.params, saved.history, saved.diverged_at),
  )
  assert checkpoints.find(tmp_path, saved.trials[:1], saved.spec) is None
  assert checkpoints.find(tmp_path, saved.trials[1:], saved.spec) is None


FILES = [
  "params/_METADATA",
  "params/manifest.ocdbt",
  "params/d/*",
  "meta/metadata",
]


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("damage", ["truncated", "absent", "flipped"])
def test_damage_is_told_in_one_line(saved, tmp_path, file, damage):
  path, *_ = tmp_path.glob(f"{checkpoints.FOLDER}/*/*/{file}")
  content = path.read_bytes()
  middle = len(content) // 2
  match damage:
    case "truncated":
      path.write_bytes(content[:middle])
    case "absent":
      path.unlink()
    case "flipped":
      flipped = bytes([content[middle] ^ 1])
      path.write_bytes(content[:middle] + flipped + content[middle + 1 :])
  for call in (
    lambda: checkpoints.load(tmp_path, [saved.trials[1].id]),
    lambda: checkpoints.find(tmp_path, saved.trials, saved.spec),
  ):
    with pytest.raises(UsageError, match="^the checkpoint in .* is damaged or"):
      call()


def test_damage_elsewhere_hides_no_trial(saved, tmp_path):
  first_alone = jax.tree.map(lambda p: p[:1], saved.params)
  checkpoints.save(
    tmp_path, saved._replace(trials=saved.trials[:1], params=first_alone)
  )
  assert checkpoints.whole(tmp_path) == {t.id for t in saved.trials}
  first, second = (trial.id for trial in saved.trials)
  path, *_ = sorted(
    (tmp_path / checkpoints.FOLDER).glob("*/*/params/manifest.ocdbt"),
    key=lambda p: second in (p.parents[2] / "seal.json").read_text(),
    reverse=True,
  )
  path.unlink()
  assert checkpoints.whole(tmp_path) == {first}
  assert [*checkpoints.load(tmp_path, [first])] == [first]
  with pytest.raises(UsageError, match="is damaged"):
    checkpoints.load(tmp_path, [first, second])


@pytest.mark.parametrize("seal", ["", "{}", "[]", "null", '{"trials": 3}'])
def test_a_damaged_seal_seals_nothing(saved, tmp_path, seal):
  (path,) = tmp_path.glob(f"{checkpoints.FOLDER}/*/seal.json")
  path.write_text(seal)
  assert checkpoints.whole(tmp_path) == set()
  assert checkpoints.find(tmp_path, saved.trials, saved.spec) is None
  with pytest.raises(UsageError, match="no trained trial"):
    checkpoints.load(tmp_path, [saved.trials[0].id])


def test_a_checkpoint_of_another_run_is_not_taken(
  saved, tmp_path, open_workdir
):
  other = tmp_path / "other"
  open_workdir(other, data="other")
  shutil.copytree(tmp_path / checkpoints.FOLDER, other / checkpoints.FOLDER)
  assert checkpoints.whole(other) == set()
  for call in (
    lambda: checkpoints.load(other, [saved.trials[1].id]),
    lambda: checkpoints.find(other, saved.trials, saved.spec),
  ):
    with pytest.raises(UsageError, match="or of another run;"):
      call()


@pytest.mark.parametrize("change", ["shape", "type", "leaf"])
def test_a_checkpoint_of_other_networks_is_not_taken(saved, tmp_path, change):
  def changed(x):
    return x[..., :-1] if change == "shape" else x.astype(np.float16)

  params = jax.tree.map(changed, saved.params)
  if change == "leaf":
    params = {"decoder": saved.params["decoder"]}
  checkpoints.save(tmp_path, saved._replace(params=params))
  for call in (
    lambda: checkpoints.load(tmp_path, [saved.trials[1].id]),
    lambda: checkpoints.find(tmp_path, saved.trials, saved.spec),
  ):
    with pytest.raises(UsageError, match="is of other networks$"):
      call()


def test_a_chunk_of_a_narrower_grid_is_trained_again(saved, tmp_path):
  wider = dataclasses.replace(saved.spec, latent_size=9)
  assert checkpoints.find(tmp_path, saved.trials, wider) is None


@pytest.mark.parametrize("file", ["999", "*/_CHECKPOINT_METADATA"])
def test_all_that_orbax_reads_is_sealed(saved, tmp_path, file):
  (directory,) = (tmp_path / checkpoints.FOLDER).iterdir()
  if file == "999":
    (directory / file).mkdir()
  else:
    (path,) = directory.glob(file)
    path.write_bytes(path.read_bytes()[:-3])
  assert checkpoints.whole(tmp_path) == set()
  with pytest.raises(UsageError, match="is damaged"):
    checkpoints.load(tmp_path, [saved.trials[1].id])


def test_a_checkpoint_that_cannot_be_written_is_an_os_error(
  saved, tmp_path, open_workdir
):
  (tmp_path / "full").mkdir()
  open_workdir(tmp_path / "full")
  (tmp_path / "full" / checkpoints.FOLDER).write_text("no folder")
  with pytest.raises(OSError, match="cannot save"):
    checkpoints.save(tmp_path / "full", saved)
