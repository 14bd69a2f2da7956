"""Trained models come back from disk, or say that they are damaged."""

import jax
import numpy as np
import pytest

import ae_jax
from ae_jax import checkpoints, grid, sweep
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


def test_a_changed_bit_is_noticed(tmp_path):
  (trained,) = sweep.run([{"num_epochs": 1, "latent_size": 3}], X, measures=())
  (trial,) = grid.resolve([{"num_epochs": 1, "latent_size": 3}])
  stacked = jax.tree.map(lambda p: p[None], trained.params)
  meta = {
    "features": [6],
    "latent_size": 3,
    "trials": [{"id": trial.id, "settings": trial.settings}],
  }
  directory = tmp_path / checkpoints.FOLDER / "a"
  checkpoints.save(directory, 1, stacked, meta)
  ((_, params),) = checkpoints.load(tmp_path, [trial.id]).values()
  jax.tree.map(np.testing.assert_array_equal, params, trained.params)

  kernel = stacked["encoder"]["code"]["kernel"]
  changed = kernel.copy()
  changed.view(np.uint32)[0, 0, 0] ^= 1
  honest = checkpoints.checksum(stacked)
  stacked["encoder"]["code"]["kernel"] = changed
  assert checkpoints.checksum(stacked) != honest
  checkpoints.save(directory, 1, stacked, meta)
  with pytest.MonkeyPatch.context() as patch:
    # What is on disk claims the checksum of the unchanged parameters.
    patch.setattr(checkpoints, "checksum", lambda params: honest)
    checkpoints.save(directory, 1, stacked, meta)
  with pytest.raises(UsageError, match="is damaged"):
    checkpoints.load(tmp_path, [trial.id])
