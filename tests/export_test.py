"""Exported models give what the models give, without this package."""

import json
import os
import subprocess
import sys

import jax
import numpy as np
import pytest
import safetensors.numpy

import ae_jax
from ae_jax import export
from ae_jax.data import Standardization
from ae_jax.networks import Spec, autoencoder
from ae_jax.objectives import OBJECTIVES
from ae_jax.objectives.fsq import fsq
from ae_jax.objectives.k_sparse import k_sparse
from ae_jax.objectives.vq_vae import vq_vae
from ae_jax.parameters import init_params
from ae_jax.trained import Trained
from ae_jax.types import UsageError

SPECS = {
  "mlp": Spec((6,), 3, widths=(8, 5), activation="tanh"),
  "linear": Spec(
    (2, 3), 2, widths=(), code="sigmoid", likelihood="sigmoid_gaussian"
  ),
  "vae": Spec((6, 5, 1), 3, code="gaussian", likelihood="bernoulli"),
  "bytes": Spec((6, 5), 3, code="gaussian", likelihood="logistic_mixture"),
  "gray bytes": Spec((6, 5), 3, "conv", (4,), likelihood="logistic_mixture"),
  "conv": Spec((7, 5, 3), 4, "conv", (4, 6), likelihood="bernoulli"),
  "gray conv": Spec((6, 5), 4, "conv", (4,), code="gaussian"),
  "k_sparse": Spec((6,), 5, objective=k_sparse),
  "rounded": Spec((6,), 3, objective=fsq),
  "quantized": Spec((6,), 4, objective=vq_vae),
  "residual": Spec((6, 5), 3, "residual_mlp", (8,), code="gaussian"),
  "tied": Spec((6,), 3, widths=(8, 5), options=(("tied", True),)),
}
# The artefact is compiled for another batch size than `Trained` uses, so sums
# may be taken in another order, and standardization is in float32 throughout.
CLOSE = {"rtol": 1e-5, "atol": 1e-5}
# What a user runs; importing ae_jax or flax here is an ImportError.
OUTSIDE = """
import sys
from pathlib import Path
sys.modules.update(dict.fromkeys(("ae_jax", "flax", "orbax")))
import numpy as np
from jax import export
for folder in (Path(sys.argv[1], name) for name in sys.argv[2:]):
  encode, decode = (
    export.deserialize((folder / f"{f}.stablehlo").read_bytes()).call
    for f in ("encode", "decode")
  )
  for n in (1, 7, 1000):
    z = encode(np.load(folder / "x.npy")[:n])
    np.save(folder / f"z{n}.npy", z)
    np.save(folder / f"y{n}.npy", decode(z))
"""


def trained(name):
  spec = SPECS[name]
  model = autoencoder(spec)
  hyper = {"k": 2.0} if name == "k_sparse" else {}
  objective = spec.objective or OBJECTIVES["autoencoder"]
  init = jax.jit(lambda key: init_params(objective, model, key, hyper))
  params = jax.tree.map(np.asarray, init(jax.random.key(1)))
  row = {"id": "0123456789", "objective": name, "beta": None}
  standardization = None
  if name == "mlp":
    mean, std = np.linspace(-4, 9, 6), np.linspace(0.5, 3, 6)
    standardization = Standardization(mean, std)
  return Trained(row, {}, spec, params, standardization, (0.0, 1.0), False)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
  """An export of every spec, and what came out of each in a fresh process."""
  folder = tmp_path_factory.mktemp("exports")
  rng = np.random.default_rng(0)
  for name, spec in SPECS.items():
    written = export.save(trained(name), folder / name)
    assert {*(folder / name).iterdir()} == {*written}
    x = rng.uniform(size=(1000, *spec.features)).astype(np.float32)
    np.save(folder / name / "x.npy", x)
  subprocess.run(
    [sys.executable, "-W", "error", "-c", OUTSIDE, folder, *SPECS], check=True
  )
  return folder


@pytest.mark.parametrize("n", [1, 7, 1000])
@pytest.mark.parametrize("name", SPECS)
def test_a_fresh_process_gives_the_same(folder, name, n):
  one, x = trained(name), np.load(folder / name / "x.npy")[:n]
  z, y = (np.load(folder / name / f"{kind}{n}.npy") for kind in "zy")
  assert z.dtype == y.dtype == np.float32
  assert z.shape == (n, one.spec.latent_size)
  np.testing.assert_allclose(z, one.encode(x), **CLOSE)
  np.testing.assert_allclose(y, one.reconstruct(x), **CLOSE)


def test_data_far_from_0_have_the_same_codes_in_any_batch():
  """A mean of 1e6 has digits that no float32 holds, also in a batch of 1."""
  one, rng = trained("mlp"), np.random.default_rng(0)
  mean = 1e6 + np.linspace(-1, 1, 6) / 3
  one = one._replace(
    standardization=Standardization(mean, np.ones(6)), data_range=(0, 2e6)
  )
  x = (mean + rng.normal(size=(7, 6))).astype(np.float32)
  encode = jax.export.deserialize(export.encoder(one).serialize()).call
  for n in (1, 7):
    np.testing.assert_allclose(encode(x[:n]), one.encode(x[:n]), **CLOSE)


def test_functions_are_for_every_platform():
  for function in (export.encoder, export.decoder):
    assert function(trained("conv")).platforms == ("cpu", "cuda", "rocm", "tpu")


@pytest.mark.parametrize("name", SPECS)
def test_weights_come_back_bit_for_bit(folder, name):
  one = trained(name)
  spec, params = export.load_weights(folder / name)
  assert spec == one.spec
  jax.tree.map(np.testing.assert_array_equal, params, one.params)


@pytest.mark.parametrize("name", ["mlp", "vae"])
def test_the_recipe_of_the_readme_in_numpy(folder, name):
  """Follows what README.md says to somebody who builds it in PyTorch."""
  one = trained(name)
  w = safetensors.numpy.load_file(folder / name / "weights.safetensors")
  spec = json.loads((folder / name / "spec.json").read_text())
  assert {k: list(v.shape) for k, v in w.items()} == {
    k: v["shape"] for k, v in spec["weights"].items()
  }
  assert spec["trial"] == one.row
  activation = {
    "tanh": np.tanh, "relu": lambda x: np.maximum(x, 0)
  }[spec["spec"]["activation"]]  # fmt: skip
  x = np.load(folder / name / "x.npy")

  def dense(h, layer):
    return h @ w[f"{layer}.kernel"] + w[f"{layer}.bias"]

  h = x.reshape(len(x), -1)
  if spec["standardization"]:
    h = (h - w["standardization.mean"]) / w["standardization.std"]
  for i in range(len(spec["spec"]["widths"])):
    h = activation(dense(h, f"encoder.hidden_{i}"))
  gaussian = spec["spec"]["code"] == "gaussian"
  z = dense(h, "encoder.mean" if gaussian else "encoder.code")
  h = dense(z, "decoder.latent")
  for i in range(len(spec["spec"]["widths"])):
    h = dense(activation(h), f"decoder.hidden_{i}")
  if spec["spec"]["likelihood"] == "bernoulli":
    h = 1 / (1 + np.exp(-h))
  if spec["standardization"]:
    h = h * w["standardization.std"] + w["standardization.mean"]
  np.testing.assert_allclose(z, one.encode(x), **CLOSE)
  np.testing.assert_allclose(h.reshape(x.shape), one.reconstruct(x), **CLOSE)


def test_the_readme_loads_what_lies_beside_it(folder, monkeypatch):
  monkeypatch.chdir(folder / "gray conv")
  _, code, _ = (folder / "gray conv" / "README.md").read_text().split("```")
  names = {}
  exec(code.removeprefix("python"), names)
  assert names["decode"](names["encode"](np.zeros((2, 6, 5), np.float32))).shape


def test_without_safetensors_it_is_one_line(tmp_path, monkeypatch):
  monkeypatch.setitem(sys.modules, "safetensors", None)
  for call in (
    lambda: trained("mlp").save(tmp_path / "new"),
    lambda: export.load_weights(tmp_path),
  ):
    message = r"safetensors is not installed: pip install 'ae_jax\[export\]'"
    with pytest.raises(UsageError, match=message):
      call()


def test_an_earlier_export_is_replaced_and_other_files_are_not(tmp_path):
  export.save(trained("mlp"), tmp_path / "new" / "folder")
  export.save(trained("linear"), tmp_path / "new" / "folder")
  spec, _ = export.load_weights(tmp_path / "new" / "folder")
  assert spec == SPECS["linear"]
  (tmp_path / "README.md").write_text("mine")
  with pytest.raises(UsageError, match=r"holds other files .*name a new fold"):
    export.save(trained("mlp"), tmp_path)
  assert (tmp_path / "README.md").read_text() == "mine"
  with pytest.raises(UsageError, match="cannot write to .*Not a directory"):
    export.save(trained("mlp"), tmp_path / "README.md")
  with pytest.raises(UsageError, match="cannot write to .*Not a directory"):
    export.save(trained("mlp"), tmp_path / "README.md" / "deeper")
  with pytest.raises(UsageError, match="holds no export: No such file"):
    export.load_weights(tmp_path)
  assert ae_jax.__version__ in (
    (tmp_path / "new" / "folder" / "spec.json").read_text()
  )


@pytest.mark.parametrize(
  "change",
  [
    lambda described: [],
    lambda described: {"spec": {}},
    lambda described: {"spec": 3},
    lambda described: described | {"spec": described["spec"] | {"new": 1}},
    lambda described: described | {"spec": described["spec"] | {"widths": 1}},
    lambda described: described | {"history": {"loss": [10**400]}},
    lambda described: described | {"trial": []},
  ],
)
def test_a_spec_of_another_version_is_one_line(tmp_path, change):
  export.save_weights(trained("mlp"), tmp_path / "model")
  path = tmp_path / "model" / export.SPEC
  path.write_text(json.dumps(change(json.loads(path.read_text()))))
  with pytest.raises(UsageError, match=r"spec\.json is not of this version$"):
    ae_jax.load(tmp_path / "model")


def test_a_damaged_or_endless_export_is_one_line(tmp_path):
  export.save_weights(trained("mlp"), tmp_path / "model")
  path = tmp_path / "model" / export.SPEC
  path.write_text("[" * 100_000)
  with pytest.raises(UsageError, match="the export in .* is damaged"):
    ae_jax.load(tmp_path / "model")
  for name in (export.WEIGHTS, export.SPEC):
    (tmp_path / "model" / name).unlink()
    os.mkfifo(tmp_path / "model" / name)
    path.write_text("{}") if name == export.WEIGHTS else None
    with pytest.raises(UsageError, match="holds no export: It is no regular"):
      ae_jax.load(tmp_path / "model")
