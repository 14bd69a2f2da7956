"""Networks of a user."""

import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import own_parts
import pytest
from flax import linen as nn
from small_sweeps import HIDDEN, SHORT, TEST, run
from solo_runs import assert_equal_solo_runs

import ae_jax
from ae_jax import export, grid
from ae_jax.declarations import of_objective
from ae_jax.engine.group import groups
from ae_jax.objectives import OBJECTIVES
from ae_jax.types import UsageError

ROOT = Path(__file__).parent.parent
GATED = {"network": "own_parts:gated", "objective": "vae"}


def test_latent_sizes_and_its_numbers_share_a_program_and_equal_solo_runs():
  points = [
    HIDDEN | GATED | {"latent_size": size, "slope": slope}
    for size in (3, 6)
    for slope in (0.5, 2.0)
  ]
  assert len(groups(grid.resolve(points))) == 1
  assert_equal_solo_runs(points, sizes=(3,))


@pytest.mark.slow
@pytest.mark.parametrize("network", ["own_parts:gated", "own_parts:pure"])
def test_the_size_that_fills_the_mask_equals_its_solo_run(network):
  points = [
    HIDDEN | {"network": network, "latent_size": size} for size in (3, 6)
  ]
  assert_equal_solo_runs(points, sizes=(6,))


def test_two_pure_functions_are_a_network():
  points = [
    SHORT | {"network": own_parts.pure, "latent_size": size} for size in (2, 5)
  ]
  assert_equal_solo_runs(points, sizes=(2,))


def test_loading_and_export_want_the_module_and_give_the_same(tmp_path):
  point = HIDDEN | GATED | {"slope": 2.5, "units": 6}
  (trained,) = run([point], folder=tmp_path / "run")
  z, again = trained.encode(TEST), trained.reconstruct(TEST)
  assert trained.params["numbers"]["slope"] == 2.5
  assert ("units", 6) in trained.spec.options
  with pytest.raises(UsageError, match="needs the network own_parts:gated"):
    ae_jax.load(tmp_path / "run")
  loaded = ae_jax.load(tmp_path / "run", modules=["own_parts"])
  np.testing.assert_array_equal(loaded.encode(TEST), z)
  np.testing.assert_array_equal(loaded.reconstruct(TEST), again)
  trained.export(tmp_path / "exported")
  for name, given, wanted in (
    (export.ENCODE, TEST, z),
    (export.DECODE, z, again),
  ):
    function = jax.export.deserialize(
      (tmp_path / "exported" / name).read_bytes()
    ).call
    np.testing.assert_allclose(function(given), wanted, rtol=1e-5, atol=1e-5)
  saved = ae_jax.load(tmp_path / "exported", modules=[own_parts])
  np.testing.assert_array_equal(saved.encode(TEST), z)


@pytest.mark.slow
def test_each_of_two_groups_is_loaded_and_exported(tmp_path):
  points = [HIDDEN | GATED | {"slope": 2.5, "units": units} for units in (4, 6)]
  for trained in run(points, folder=tmp_path / "run"):
    z = trained.encode(TEST)
    assert ("units", trained.row["units"]) in trained.spec.options
    with pytest.raises(UsageError, match="needs the network own_parts:gated"):
      ae_jax.load(tmp_path / "run", trained.row["id"])
    loaded = ae_jax.load(
      tmp_path / "run", trained.row["id"], modules=["own_parts"]
    )
    np.testing.assert_array_equal(loaded.encode(TEST), z)
    np.testing.assert_array_equal(
      loaded.reconstruct(TEST), trained.reconstruct(TEST)
    )
    exported = tmp_path / trained.row["id"]
    trained.export(exported)
    saved = ae_jax.load(exported, modules=[own_parts])
    np.testing.assert_array_equal(saved.encode(TEST), z)


def test_its_numbers_are_those_of_training_in_every_metric():
  point = HIDDEN | GATED | {"slope": 4.0}
  (trained,) = run([point])
  x = jnp.asarray(TEST)
  own = ae_jax.autoencoder(trained.spec, numbers={"slope": 4.0})
  other = ae_jax.autoencoder(trained.spec, numbers={"slope": 1.0})

  def error(model):
    z = model.encode(trained.params, x).mean
    residual = x - model.mean(model.decode(trained.params, z))
    return np.mean(np.sum(np.square(residual), axis=(1, 2)))

  found = trained.row["test_squared_error"]
  np.testing.assert_allclose(found, error(own), rtol=1e-4)
  assert abs(found / error(other) - 1) > 1e-3


class OfOneSize(nn.Module):
  """A module that takes the length of its batch."""

  @nn.compact
  def __call__(self, x):
    return nn.Dense(4)(x.reshape(len(x), -1))


def test_an_export_of_a_batch_of_one_size_is_one_line(tmp_path):
  (trained,) = run([SHORT | {"network": network_of(OfOneSize(), output)}])
  with pytest.raises(UsageError, match=r"of len\(x\) write x.shape"):
    trained.export(tmp_path / "exported")


def network_of(encoder, decoder, units=4):
  @ae_jax.network()
  def made(spec):
    return ae_jax.Network(encoder, decoder(spec), units)

  return made


class WithStatistics(nn.Module):
  """A module with variables that are no parameters."""

  @nn.compact
  def __call__(self, x):
    return nn.BatchNorm(use_running_average=True)(x.reshape(len(x), -1))


class Named(nn.Module):
  """A module with a layer of a name that is taken."""

  @nn.compact
  def __call__(self, x):
    return nn.Dense(4, name="code")(x.reshape(len(x), -1))


class Small(nn.Module):
  """A module that gives too few numbers."""

  @nn.compact
  def __call__(self, x):
    return nn.Dense(3)(x)


def output(spec):
  return nn.Dense(spec.num_outputs)


def undeclared(spec):
  return ae_jax.Network(nn.Dense(4), output(spec), 4)


@ae_jax.network()
def no_network(spec):
  return spec


@ae_jax.network()
def taken(spec, *, latent_size=3.0):
  return spec, latent_size


@pytest.mark.parametrize(
  ("network", "message"),
  [
    (undeclared, r"is no network: decorate the function with @ae_jax.network"),
    (no_network, "must return ae_jax.Network.*returns Spec"),
    (taken, "'latent_size' of network .* needs a name that is no other"),
    (network_of(WithStatistics(), output), "no other collections.*batch_stats"),
    (network_of(Named(), output), "a layer of the network is named 'code'"),
    (network_of(nn.Dense(4), output), r"must give \[n, units\]; it gives"),
    (
      network_of(nn.Sequential([lambda x: x.reshape(len(x), -1)]),
                 lambda spec: Small()),
      "must give 64 numbers for an example; it gives",
    ),
    (jax.jit(undeclared), "is jitted: give the function itself"),
    ("residual", "unknown network 'residual'; did you mean residual_mlp"),
  ],
)  # fmt: skip
def test_a_mistake_is_one_line_before_any_training(network, message):
  with pytest.raises(UsageError, match=message):
    run([SHORT | {"network": network}])


@pytest.mark.slow
@pytest.mark.parametrize("network", [own_parts.gated, "residual_mlp"])
@pytest.mark.parametrize("objective", OBJECTIVES)
def test_every_objective_goes_with_every_network_or_says_why_not(
  objective, network, tmp_path
):
  pairs = of_objective(OBJECTIVES[objective]).batch == "pairs"
  points = [
    HIDDEN
    | {"objective": objective, "network": network, "latent_size": size}
    | ({"pairs": "class"} if pairs else {})
    for size in (2, 4)
  ]
  if objective in ("layerwise", "conditional_vae"):
    with pytest.raises(UsageError, match="needs network 'mlp'|needs a first"):
      run(points)
    return
  for trained in run(points, folder=tmp_path / "run"):
    assert trained.row["status"] == "ok"
    loaded = ae_jax.load(tmp_path / "run", trained.row["id"], modules=own_parts)
    again = loaded.reconstruct(TEST)
    np.testing.assert_array_equal(again, trained.reconstruct(TEST))
  trained.export(tmp_path / "exported")


@ae_jax.network()
def of_latent_size(spec):
  units = 4 * spec.latent_size
  return ae_jax.Network(own_parts.Scaled(8), own_parts.Scaled(64), units)


def test_a_network_that_depends_on_the_latent_size_is_told():
  points = [
    SHORT | {"network": of_latent_size, "latent_size": size} for size in (2, 3)
  ]
  with pytest.raises(UsageError, match="has other shapes at another latent"):
    run(points)


def test_a_changed_network_is_told_when_a_model_is_loaded(
  tmp_path, monkeypatch
):
  monkeypatch.syspath_prepend(tmp_path)
  monkeypatch.setattr(sys, "dont_write_bytecode", True)
  file = tmp_path / "changing_net.py"
  source = (ROOT / "tests" / "own_parts.py").read_text()
  file.write_text(source)
  (trained,) = run(
    [SHORT | {"network": "changing_net:pure"}], folder=tmp_path / "run"
  )
  trained.save(tmp_path / "saved")
  ae_jax.load(tmp_path / "run", modules="changing_net")
  file.write_text(source.replace("jnp.tanh", "jnp.sin"))
  sys.modules.pop("changing_net")
  for place in ("run", "saved"):
    with pytest.warns(UserWarning, match="changing_net:pure has changed"):
      ae_jax.load(tmp_path / place, modules="changing_net")
