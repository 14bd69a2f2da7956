"""Weights of a decoder that are the encoder's, transposed."""

import numpy as np
import pytest
from small_sweeps import SHORT, TEST, run
from solo_runs import assert_equal_solo_runs

import ae_jax
from ae_jax.types import UsageError

OTHERS = ("vae", "layerwise")
TIED = {"tied": True, "widths": (16, 8)}


@pytest.mark.parametrize(
  "objective",
  ["autoencoder", *(pytest.param(o, marks=pytest.mark.slow) for o in OTHERS)],
)
def test_tied_weights_are_transposes(objective):
  points = [
    SHORT | TIED | {"objective": objective, "latent_size": size}
    for size in (3, 5)
  ]
  results = run(points)
  for trained in results[:1]:
    decoder = trained.params["decoder"]
    assert all({*layer} == {"bias"} for layer in decoder.values())
    z = trained.encode(TEST)
    encoder = trained.params["encoder"]
    head = "mean" if objective == "vae" else "code"
    h = z @ encoder[head]["kernel"].T + decoder["latent"]["bias"]
    for down, up in (("hidden_1", "hidden_0"), ("hidden_0", "hidden_1")):
      h = np.maximum(h, 0) @ encoder[down]["kernel"].T + decoder[up]["bias"]
    np.testing.assert_allclose(
      trained.decode(z).reshape(len(z), -1), h, rtol=1e-4, atol=1e-5
    )
  assert_equal_solo_runs(points, sizes=(3,))


def test_tied_weights_are_exported_and_loaded(tmp_path):
  (trained,) = run([SHORT | TIED], folder=tmp_path / "run")
  trained.export(tmp_path / "exported")
  for place in ("run", "exported"):
    loaded = ae_jax.load(tmp_path / place)
    np.testing.assert_array_equal(
      loaded.reconstruct(TEST), trained.reconstruct(TEST)
    )
  text = (tmp_path / "exported" / "README.md").read_text()
  assert "kernels of the decoder are transposes" in text


def test_tied_weights_need_one_number_for_each_feature():
  with pytest.raises(UsageError, match="tied weights need a likelihood of one"):
    run([SHORT | {"tied": True, "likelihood": "logistic_mixture"}])
