"""A trained model as files that need nothing of this package.

A folder holds `encode.stablehlo` and `decode.stablehlo`, two functions with
their parameters in them, for any batch size on any of `PLATFORMS`; and
`weights.safetensors` with `spec.json` beside it, from which the network can be
built anew elsewhere.
"""

import dataclasses
import importlib.metadata
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
import safetensors.numpy
from jax import export

import ae_jax
from ae_jax.atomic import partial_of
from ae_jax.data import Standardization
from ae_jax.likelihoods import NUM_LOGISTICS
from ae_jax.metrics.reconstruction import codes
from ae_jax.networks import ACTIVATIONS, Spec
from ae_jax.trained import Trained
from ae_jax.types import Array, Params, UsageError

PLATFORMS = ("cpu", "cuda", "rocm", "tpu")
ENCODE, DECODE = "encode.stablehlo", "decode.stablehlo"
WEIGHTS, SPEC, README = "weights.safetensors", "spec.json", "README.md"
_STANDARDIZATION = "standardization"


def encoder(trained: Trained) -> export.Exported:
  """The function x `[b, *features]` -> z `[b, latent]`, any b, float32.

  As `Trained.encode` in the units of the data, except that bytes are to be
  given as x / 255.
  """
  spec, model, params = trained.spec, trained.model, trained.params

  def encode(x: Array) -> Array:
    if trained.standardization is not None:
      # In two parts: a mean is known to more digits than a float32 has.
      mean, std = trained.standardization
      high = mean.astype(np.float32)
      low = (mean - high).astype(np.float32)
      x = ((x - high[None]) - low[None]) / std.astype(np.float32)[None]
    return codes(model, params, x)

  return _export(encode, spec.features)


def decoder(trained: Trained) -> export.Exported:
  """The function z `[b, latent]` -> x~ `[b, *features]`, any b, float32."""
  spec, model, params = trained.spec, trained.model, trained.params

  def decode(z: Array) -> Array:
    x = model.mean(model.decode(params, z))
    if trained.standardization is not None:
      mean, std = (s.astype(np.float32) for s in trained.standardization)
      x = x * std[None] + mean[None]
    return x

  return _export(decode, (spec.latent_size,))


def save(trained: Trained, folder: Path) -> list[Path]:
  """Writes a trained model as portable files.

  Args:
    trained: the model.
    folder: made where it is not there; one that holds an earlier export gets
      this one in its place.

  Returns:
    The files that were written.

  Raises:
    UsageError: the folder holds other files, or cannot be written.
  """
  check_folder(folder)
  functions = {
    ENCODE: bytes(encoder(trained).serialize()),
    DECODE: bytes(decoder(trained).serialize()),
  }
  readme = {README: _readme(trained).encode()}
  return _write(folder, functions | _weights(trained) | readme)


def save_weights(trained: Trained, folder: Path) -> list[Path]:
  """Writes weights and what describes them alone; as `save` otherwise."""
  check_folder(folder)
  return _write(folder, _weights(trained))


def load(folder: Path) -> Trained:
  """Reads back what `save` or `save_weights` wrote.

  Raises:
    UsageError: the folder holds no export.
  """
  described, arrays = _read(folder)
  spec, params = _network(described, arrays)
  try:
    data, history = described["data"], described["history"]
    statistics = None
    if f"{_STANDARDIZATION}.mean" in arrays:
      statistics = Standardization(
        arrays[f"{_STANDARDIZATION}.mean"], arrays[f"{_STANDARDIZATION}.std"]
      )
    return Trained(
      row={k: _tuple(v) for k, v in described["trial"].items()},
      history={k: np.array(v, np.float32) for k, v in history.items()},
      spec=spec,
      params=params,
      standardization=statistics,
      data_range=_tuple(data["range"]),
      bytes=bool(data["bytes"]),
    )
  except (KeyError, TypeError, ValueError, AttributeError) as error:
    raise UsageError(f"{folder / SPEC} is not of this version") from error


def _weights(trained: Trained) -> dict[str, bytes]:
  arrays = _flat(trained)
  described = json.dumps(_describe(trained, arrays), indent=2) + "\n"
  return {WEIGHTS: safetensors.numpy.save(arrays), SPEC: described.encode()}


def _write(folder: Path, files: dict[str, bytes]) -> list[Path]:
  """Writes files into a new folder, which takes the place of an old one."""
  place = folder.absolute()
  partial = partial_of(place)
  try:
    partial.mkdir(parents=True)
    for name, content in files.items():
      (partial / name).write_bytes(content)
    if place.exists():
      shutil.rmtree(place)
    partial.rename(place)
  except OSError as error:
    raise UsageError(f"cannot write to {folder}: {error.strerror}") from error
  finally:
    shutil.rmtree(partial, ignore_errors=True)
  return [folder / name for name in files]


def check_folder(folder: Path) -> None:
  """Raises UsageError unless the folder is new, empty or an earlier export."""
  try:
    names = {path.name for path in folder.iterdir()}
  except FileNotFoundError:
    return
  except OSError as error:
    raise UsageError(f"cannot write to {folder}: {error.strerror}") from error
  if names and names not in (
    {WEIGHTS, SPEC},
    {ENCODE, DECODE, WEIGHTS, SPEC, README},
  ):
    raise UsageError(
      f"{folder} holds other files ({min(names)}, ...); name a new folder"
    )


def load_weights(folder: Path) -> tuple[Spec, Params]:
  """The network of an export and its parameters.

  Raises:
    UsageError: the folder holds no export.
  """
  return _network(*_read(folder))


def _read(folder: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
  try:
    text = (folder / SPEC).read_text(encoding="utf-8")
    return json.loads(text), safetensors.numpy.load_file(folder / WEIGHTS)
  except OSError as error:
    raise UsageError(f"{folder} holds no export: {error.strerror}") from error
  except (ValueError, safetensors.SafetensorError) as error:
    raise UsageError(f"the export in {folder} is damaged: {error}") from error


def _network(
  described: dict[str, Any], arrays: dict[str, np.ndarray]
) -> tuple[Spec, Params]:
  fields: dict[str, Any] = {
    name: _tuple(value) for name, value in described["spec"].items()
  }
  params: Params = {}
  for name, array in arrays.items():
    *path, leaf = name.split(".")
    if path[0] != _STANDARDIZATION:
      node = params
      for key in path:
        node = node.setdefault(key, {})
      node[leaf] = array
  return Spec(**fields), params


def _tuple(value: Any) -> Any:
  return tuple(value) if isinstance(value, list) else value


def _export(
  function: Callable[[Array], Array], shape: tuple[int, ...]
) -> export.Exported:
  (b,) = export.symbolic_shape("b")
  x = jax.ShapeDtypeStruct((b, *shape), np.float32)
  with jax.default_matmul_precision("highest"):  # as it was measured
    return export.export(jax.jit(function), platforms=PLATFORMS)(x)


def _flat(trained: Trained) -> dict[str, np.ndarray]:
  """Names such as `encoder.hidden_0.kernel` -> arrays."""
  arrays = {
    ".".join(key.key for key in path): np.array(leaf, order="C")
    for path, leaf in jax.tree_util.tree_leaves_with_path(trained.params)
    if path[0].key != "objective" or trained.spec.code in _KINDS
  }
  if trained.standardization is not None:
    for name, values in trained.standardization._asdict().items():
      arrays[f"{_STANDARDIZATION}.{name}"] = np.array(values, order="C")
  return arrays


def _describe(
  trained: Trained, arrays: dict[str, np.ndarray]
) -> dict[str, Any]:
  row, spec = trained.row, trained.spec
  return {
    "trial": {k: v for k, v in row.items() if v is not None},
    "history": {name: term.tolist() for name, term in trained.history.items()},
    "spec": dataclasses.asdict(spec),
    "data": {
      "shape": ["b", *spec.features],
      "dtype": "float32",
      "units": "those of the data it was trained on; bytes as x / 255",
      "range": trained.data_range,
      "bytes": trained.bytes,
    },
    "code": {"shape": ["b", spec.latent_size], "dtype": "float32"},
    "standardization": (
      None
      if trained.standardization is None
      else "(x - mean) / std before the encoder, x * std + mean after the"
      " decoder; encode.stablehlo and decode.stablehlo have it in them"
    ),
    "weights": {
      name: {"shape": array.shape, "dtype": str(array.dtype)}
      for name, array in arrays.items()
    },
    "platforms": PLATFORMS,
    "versions": {
      "ae_jax": ae_jax.__version__,
      **{
        name: importlib.metadata.version(name)
        for name in ("jax", "jaxlib", "flax")
      },
    },
  }


def _readme(trained: Trained) -> str:
  row, spec = trained.row, trained.spec
  code = "mean" if spec.code == "gaussian" else "code"
  data = ", ".join(map(str, ("b", *spec.features)))
  forward = _MLP if spec.network == "mlp" else _CONV
  scale = "" if trained.standardization is None else _SCALE
  return _TEXT.format(
    objective=row.get("objective"),
    id=row.get("id"),
    data=data,
    latent=spec.latent_size,
    platforms=", ".join(PLATFORMS),
    forward=forward.format(
      activation=spec.activation,
      code=code,
      code_activation=(
        spec.code
        if spec.code in ACTIVATIONS and spec.code != "linear"
        else "identity"
      ),
      mean=_MEANS[spec.likelihood].format(number=NUM_LOGISTICS),
      features=spec.features,
    ),
    scale=scale,
    kind=_KINDS.get(spec.code, ""),
  )


_TEXT = """\
# {objective}, trial {id}

With `pip install jax flatbuffers`, and nothing else:

```python
from pathlib import Path
from jax import export
encode = export.deserialize(Path("encode.stablehlo").read_bytes()).call
decode = export.deserialize(Path("decode.stablehlo").read_bytes()).call
```

`z = encode(x)` takes float32 `[{data}]` to float32 `[b, {latent}]`, and
`decode(z)` goes back, for any batch size b, on {platforms}.
x has the units of the data that the model was trained on; bytes are given as
x / 255.

## To build it elsewhere

`weights.safetensors` holds the arrays, `spec.json` their names and shapes, the
settings of the trial and the versions. Kernels of dense layers are
`[inputs, outputs]` (PyTorch's `Linear.weight` is their transpose).

{forward}{kind}{scale}
Activations are those of `jax.nn`: `gelu` is the tanh approximation,
`leaky_relu` has slope 0.01.
"""
_MLP = """\
- encode: h = x, flattened row by row; for each i, h = {activation}(h @
  encoder.hidden_i.kernel + encoder.hidden_i.bias); z = {code_activation}(h @
  encoder.{code}.kernel + encoder.{code}.bias).
- decode: h = z @ decoder.latent.kernel + decoder.latent.bias; for each i, h =
  {activation}(h) @ decoder.hidden_i.kernel + decoder.hidden_i.bias; x~ =
  {mean}, in the shape {features}.
"""
_CONV = """\
- encode: h = x as `[b, height, width, channels]`; for each i, h = {activation}
  of a convolution with encoder.hidden_i (kernel `[3, 3, inputs, outputs]`,
  stride 2, padding SAME: of the padding the odd row or column goes to the
  end); z = {code_activation}(h, flattened row by row, @ encoder.{code}.kernel +
  encoder.{code}.bias).
- decode: h = z @ decoder.latent.kernel + decoder.latent.bias, in the shape of
  the encoder's last images; for each i, h = transposed convolution of
  {activation}(h) with decoder.hidden_i (kernel `[3, 3, inputs, outputs]`, not
  flipped: `jax.lax.conv_transpose` with stride 2 and padding SAME), cut to the
  size of the encoder's images at that depth; x~ = {mean}, in the shape
  {features}.
"""
_MEANS = {
  "linear": "h",
  "sigmoid": "sigmoid(h)",
  "bernoulli": "sigmoid(h)",
  "logistic_mixture": "sum_k w_k s_k (softplus(m_k / s_k) - softplus((m_k -"
  " 1) / s_k)), where h holds for each feature {number} logits of the weights"
  " w, {number} means m and {number} log-scales (clipped to -7 ... 7)",
}
_KINDS = {
  "gaussian": """\
- encoder.log_variance gives the log-variance of q(z|x) as encoder.mean gives
  the mean, which is the code.
""",
  "k_sparse": """\
- the round(objective.k) largest units of z remain, the others are 0.
""",
  "quantized": """\
- each part of z, as long as a row of objective.codebook, is replaced by the
  nearest of its rows.
""",
}
_SCALE = """\
- (x - standardization.mean) / standardization.std goes in, and what comes out
  is multiplied by std and added to mean; the two `.stablehlo` files do it.
"""
