"""Trained models come back from disk, or say that they are damaged."""

import jax
import numpy as np
import pytest

import ae_jax
from ae_jax import checkpoints, grid
from ae_jax.chunk import run_program
from ae_jax.feed import InMemory
from ae_jax.program import Layout, compile_program
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
      "--config.measures=()",
    ]
  )
  return folder / "out"


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
def saved(tmp_path):
  """A chunk on disk."""
  trials = grid.resolve(
    [{"num_epochs": 2, "latent_size": size} for size in (3, 2)]
  )
  feed = InMemory(X)
  chunk = run_program(compile_program(trials, feed, Layout(1, 2)), trials, feed)
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
    with pytest.raises(UsageError, match="^the checkpoint in .* is damaged$"):
      call()
