"""An objective of a user: state, a hook, parameters, a prior, an input."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import own_parts
import pytest
from scipy import stats
from small_sweeps import DIGITS, SHORT, run
from solo_runs import assert_equal_solo_runs

import ae_jax
from ae_jax import export, grid
from ae_jax.divergences import log_ratio_to_mixture
from ae_jax.types import UsageError

NAME = "own_parts:threshold"
ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize("size", [3, pytest.param(6, marks=pytest.mark.slow)])
def test_its_state_and_hook_equal_their_solo_run(size):
  """Of the size that is masked; slow: of that which fills the mask."""
  points = [
    SHORT | {"objective": NAME, "latent_size": latent_size, "wanted": wanted}
    for latent_size in (3, 6)
    for wanted in (0.2, 0.7)
  ]
  # A unit at its threshold may go either way by rounding; Adam then moves a
  # number by up to the learning rate another way.
  assert_equal_solo_runs(points, sizes=(size,), atol=1e-3)


def test_state_is_carried_by_the_rule_and_selects_the_code(tmp_path):
  points = grid.product(
    objective=[own_parts.threshold], latent_size=[3, 5], wanted=[0.1, 0.9]
  )
  results = run([SHORT | p for p in points], folder=tmp_path / "run")
  for trained in results:
    state = trained.params["state"]
    size = trained.row["latent_size"]
    assert state["threshold"].shape == (size,)  # without the padding
    assert state["steps"] == 3 * 4  # epochs, and batches of 64 of 300
    z = trained.encode(DIGITS)
    dense = np.asarray(trained.model.dense_code(trained.params, DIGITS))
    kept = dense > state["threshold"]
    scale = trained.params["objective"]["scale"]
    np.testing.assert_allclose(z, np.where(kept, dense * scale, 0), rtol=1e-5)
    rows = trained.params["decoder"]["latent"]["kernel"]
    assert np.all(np.linalg.norm(rows, axis=1) <= 1 + 1e-6)
  low, high = results[0], results[1]
  assert low.history["active"][-1] < high.history["active"][-1]


def test_loading_and_export_want_the_module_and_give_the_same(tmp_path):
  point = SHORT | {"objective": NAME, "latent_size": 3}
  (trained,) = run([point], folder=tmp_path / "run")
  z = trained.encode(DIGITS)
  with pytest.raises(UsageError, match=r"give modules=\['own_parts'\]"):
    ae_jax.load(tmp_path / "run")
  for modules in (["own_parts"], [own_parts], [{NAME: own_parts.threshold}]):
    loaded = ae_jax.load(tmp_path / "run", modules=modules)
    np.testing.assert_array_equal(loaded.encode(DIGITS), z)
  trained.export(tmp_path / "exported")
  encode = jax.export.deserialize(
    (tmp_path / "exported" / export.ENCODE).read_bytes()
  ).call
  np.testing.assert_allclose(encode(DIGITS), z, rtol=1e-5, atol=1e-5)
  text = (tmp_path / "exported" / "README.md").read_text()
  assert "- After the encoder: above_threshold" in text
  with pytest.raises(UsageError, match="needs the objective own_parts:thresh"):
    ae_jax.load(tmp_path / "exported")
  again = ae_jax.load(tmp_path / "exported", modules=["own_parts"])
  np.testing.assert_array_equal(again.encode(DIGITS), z)


SWEEP = """
import sys
import numpy as np
import ae_jax
x = np.load("x.npy")
points = ae_jax.grid.product(
  objective=["own_parts:threshold"], latent_size=[2, 5], wanted=[0.3, 0.6],
  num_epochs=[300], batch_size=[16], widths=[(8,)],
)
ae_jax.run_sweep(
  points, x, folder=sys.argv[1], metrics=(), snapshot_seconds=0
)
"""


@pytest.mark.slow
def test_a_killed_run_goes_on_to_the_same_bits(tmp_path):
  np.save(tmp_path / "x.npy", DIGITS[:128].reshape(128, 64))
  environment = os.environ | {"PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"}

  def start(folder):
    return subprocess.Popen(
      [sys.executable, "-c", SWEEP, folder],
      cwd=tmp_path,
      env=environment,
      stderr=subprocess.PIPE,
      text=True,
    )

  whole = start("whole")
  _, err = whole.communicate(timeout=300)
  assert whole.returncode == 0, err
  killed = start("killed")
  seen = ""
  while not [*(tmp_path / "killed" / "snapshots").glob("*.npz")]:
    seen = killed.stderr.read(1)
    assert seen, "it ended before a snapshot"
  killed.send_signal(signal.SIGKILL)
  killed.communicate()
  again = start("killed")
  _, err = again.communicate(timeout=300)
  assert "go on from a snapshot" in err
  one, other = (
    {row["id"]: row for row in ae_jax.evaluate(tmp_path / f, ()).rows}
    for f in ("whole", "killed")
  )
  assert one.keys() == other.keys()
  times = re.compile("seconds")
  for trial_id, row in one.items():
    for name, value in row.items():
      if not times.search(name):
        assert other[trial_id][name] == value, name
  for trial_id in one:
    loaded = [
      ae_jax.load(tmp_path / f, trial_id, modules=["own_parts"]).params
      for f in ("whole", "killed")
    ]
    jax.tree.map(np.testing.assert_array_equal, *loaded)


def test_its_prior_is_sampled():
  point = SHORT | {"objective": own_parts.wae, "latent_size": 2}
  (trained,) = run([point])
  codes = trained.sample_codes(4000)
  # Four standard errors of a mean of 4,000 draws of N(1, 1).
  np.testing.assert_allclose(codes.mean(axis=0), 1, atol=4 / np.sqrt(4000))
  assert stats.kstest(codes[:, 0] - 1, "norm").pvalue > 1e-3


def test_its_prior_is_in_every_bound():
  points = [
    SHORT | {"objective": name, "latent_size": 3, "seed": 1} | own
    for name, own in (
      (own_parts.own_vamp, {}),
      ("vamp_vae", {"num_pseudo_inputs": 3}),
    )
  ]
  results = ae_jax.run_sweep(
    points, DIGITS, metrics=("likelihood",), progress=False
  )
  own, shipped = results.rows
  # The same draws and steps in two programs: rounding alone.
  for bound in ("kl", "negative_elbo_density", "nll_density"):
    name = f"test_{bound}_nats"
    np.testing.assert_allclose(own[name], shipped[name], rtol=1e-3)
  trained = results[0]
  q = trained.model.encode(trained.params, jnp.asarray(DIGITS))
  prior = trained.model.prior(trained.params)
  assert len(prior.mean) == 3
  assert np.isfinite(log_ratio_to_mixture(q.mean, q, prior)).all()


def test_what_the_encoder_sees_is_so_everywhere(tmp_path):
  x = np.random.default_rng(0).poisson(3.0, (200, 6)).astype(np.float32)
  point = SHORT | {"objective": "own_parts:count_vae", "latent_size": 2}
  results = ae_jax.run_sweep(
    [point], x, metrics=("activity", "likelihood"), progress=False
  )
  trained, row = results[0], results.rows[0]
  assert row["likelihood"] == "own_parts:poisson"
  plain = ae_jax.Spec(
    (6,), 2, widths=(), code="gaussian", likelihood=own_parts.poisson
  )
  seen = ae_jax.autoencoder(plain).encode(trained.params, np.log1p(x))
  np.testing.assert_allclose(trained.encode(x), seen.mean, rtol=1e-5, atol=1e-6)
  test = x[160:]
  decoded = trained.reconstruct(test)
  assert decoded.min() > 0  # means of a Poisson
  trained.export(tmp_path / "exported")
  encode = jax.export.deserialize(
    (tmp_path / "exported" / export.ENCODE).read_bytes()
  ).call
  np.testing.assert_allclose(encode(x), seen.mean, rtol=1e-5, atol=1e-5)
  jacobian = jax.jacrev(lambda x: trained.model.encode(trained.params, x).mean)
  norm = np.linalg.norm(jacobian(jnp.asarray(x[0])))
  z, found = trained.model.encode_and_jacobian_norm(trained.params, x[:1])
  np.testing.assert_allclose(found[0], norm**2, rtol=1e-4)
  np.testing.assert_allclose(z[0], seen.mean[0], rtol=1e-5, atol=1e-6)


def test_a_batch_is_traced_as_large_as_it_is():
  def keep(model, params, key, **_):
    return {"queue": jnp.zeros((64, len(model.latent_mask)))}

  @ae_jax.objective(state=keep)
  def of_largest(model, params, key, batch):
    nll = model.nll(batch, model.decode(params, model.encode(params, batch)))
    worst, _ = jax.lax.top_k(nll, 5)
    return worst.mean(), {}, {"queue": model.encode(params, batch)}

  (trained,) = run([SHORT | {"objective": of_largest}])
  assert trained.row["status"] == "ok"


def test_a_state_that_is_no_number_ends_the_trial_before_it():
  @ae_jax.objective(state=lambda *_, **__: {"n": jnp.zeros(())})
  def broken(model, params, key, batch):
    z = model.encode(params, batch)
    n = params["state"]["n"] + 1
    loss = jnp.mean(model.nll(batch, model.decode(params, z)))
    return loss, {}, {"n": jnp.where(n > 3, jnp.nan, n)}

  (trained,) = run([SHORT | {"objective": broken}])
  assert (trained.row["status"], trained.row["diverged_step"]) == (
    "diverged",
    3,
  )
  assert trained.params["state"]["n"] == 3


def test_its_parameters_may_call_the_mean_of_a_likelihood_with_numbers():
  point = SHORT | {"objective": "vamp_vae", "likelihood": "own_parts:laplace"}
  (trained,) = run([point | {"scale": 0.5}])
  assert np.isfinite(trained.reconstruct(DIGITS)).all()


def declared(**fields):
  @ae_jax.objective(**fields)
  def loss(model, params, key, batch, *, weight=1.0):
    z = model.encode(params, batch)
    return weight * jnp.mean(model.nll(batch, model.decode(params, z))), {}

  return loss


def scheduled(model, params, key, batch, *, weight=1.0, weight_start=0.0):
  return weight * batch.mean() + weight_start, {}


def with_state(result):
  @ae_jax.objective(state=lambda *_, **__: {"n": jnp.zeros(())})
  def loss(model, params, key, batch):
    z = model.encode(params, batch)
    return jnp.mean(model.nll(batch, model.decode(params, z))), {}, result

  return loss


@pytest.mark.parametrize(
  ("point", "message"),
  [
    ({"objective": declared(ranges={"weight": (0.0, 1.0)}), "weight": 2.0},
     r"weight must be in \[0.0, 1.0\]; got 2.0"),
    ({"objective": declared(ranges={"wait": (0.0, 1.0)})},
     "declares a range of wait, which is none of its hyper-parameters"),
    ({"objective": NAME, "latent_size": 2000}, "at most 1,000 units here"),
    ({"objective": declared(likelihood="bernoulli"), "likelihood": "gaussian"},
     "is 'gaussian'; allowed: bernoulli"),
    ({"objective": with_state({"n": jnp.zeros(2)})},
     r"makes state.n another array: float32\[\] becomes float32\[2\]"),
    ({"objective": declared(params=lambda *_, **__: 1.0)},
     "must return a dict of arrays; it returns float"),
    ({"objective": declared(params=lambda *_, **__: {"a.b": 1.0})},
     "returns the key 'a.b'; keys are texts without . and /"),
    ({"objective": declared(params=lambda *_, **__: {"a": [1.0]})},
     "returns 'a', which is no array of numbers and no dict of them"),
    ({"objective": declared(state=lambda *_, **__: {"k": jax.random.key(0)})},
     "returns 'k', which is no array of numbers"),
    ({"objective": scheduled, "weight_schedule": "linear"},
     "weight cannot be scheduled: weight_start is a hyper-parameter itself"),
  ],
)  # fmt: skip
def test_a_mistake_is_one_line_before_any_training(point, message):
  with pytest.raises(UsageError, match=message):
    run([SHORT | point])


def test_a_declaration_of_another_word_is_told_where_it_stands():
  with pytest.raises(ValueError, match="must be .* got 'pair'"):
    ae_jax.objective(batch="pair")
  with pytest.raises(ValueError, match="select is of a point code"):
    ae_jax.objective(code="gaussian", select=own_parts.above_threshold)
