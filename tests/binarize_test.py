"""Binary examples that are drawn anew at each step."""

import jax
import numpy as np
import pytest

from ae_jax import data, run_sweep
from ae_jax.metrics.eval_data import eval_data
from ae_jax.networks import Spec
from ae_jax.training import trainer
from ae_jax.types import UsageError

X = np.random.default_rng(0).uniform(size=(400, 6)).astype(np.float32)


@pytest.fixture
def binary(tmp_path):
  def binary(x):
    np.save(tmp_path / "x.npy", x)
    return data.load(path=tmp_path / "x.npy", binarize=True)

  return binary


def reveals(model, params, key, batch):
  """An objective whose terms are statistics of its batch."""
  loss = 0 * params["decoder"]["latent"]["bias"].sum()
  return loss, {
    "mean": batch.mean(),
    "second": (batch**2).mean(),
    "one": batch[0, 0],
  }


@pytest.mark.parametrize("as_bytes", [False, True])
def test_what_is_measured_is_one_draw_and_what_is_trained_on_is_gray(
  binary, as_bytes
):
  dataset = binary((255 * X).astype(np.uint8) if as_bytes else X)
  gray = data.to_float(dataset.train)
  assert len(np.unique(gray)) > 100
  kept = eval_data(dataset)
  for x in (kept.train, kept.test):
    assert {*np.unique(data.to_float(x))} == {0, 1}
  drawn = np.asarray(data.to_float(kept.train))
  # Four standard errors of 320 draws.
  np.testing.assert_allclose(drawn.mean(0), gray.mean(0), atol=4 * 0.5 / 17.9)
  np.testing.assert_array_equal(kept.train, eval_data(dataset).train)


def test_a_step_draws_anew():
  run = trainer(
    reveals, Spec((6,), 2), num_epochs=50, batch_size=400, draw="binarize"
  )
  hyper = {"learning_rate": 1e-3}
  _, history = jax.jit(run.train)(jax.random.key(0), hyper, X)
  np.testing.assert_array_equal(history["mean"], history["second"])  # 0 or 1
  assert len(np.unique(history["mean"])) > 20
  assert {*np.unique(history["one"])} == {0, 1}
  # Four standard errors of 50 means over 2,400 draws.
  np.testing.assert_allclose(np.mean(history["mean"]), X.mean(), atol=0.006)


def test_a_sweep_trains_on_draws(binary):
  point = {"objective": reveals, "num_epochs": 2, "batch_size": 64}
  (trained,) = run_sweep([point], binary(X), metrics=(), progress=False)
  history = trained.history
  np.testing.assert_array_equal(history["mean"], history["second"])


def test_what_cannot_be_drawn_is_one_line(binary, tmp_path):
  with pytest.raises(UsageError, match=r"in \[0, 1\]; these are in"):
    binary(3 * X)
  np.save(tmp_path / "x.npy", X)
  with pytest.raises(UsageError, match="standardize or data.binarize"):
    data.load(path=tmp_path / "x.npy", binarize=True, standardize=True)
