"""Trained models as files that do not need this package.

A folder holds `encode.stablehlo` and `decode.stablehlo`, two functions with
their parameters included, for any batch size on any of `PLATFORMS`; and
`weights.safetensors` with `spec.json` beside it, from which the network can be
rebuilt elsewhere.
"""

from __future__ import annotations

import dataclasses
import importlib.metadata
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import numpy as np
from jax import export

import ae_jax
from ae_jax import export_readme, lookup
from ae_jax.atomic import DAMAGED, check_regular, partial_of, read_text
from ae_jax.data import Standardization
from ae_jax.extras import require
from ae_jax.lookup import Modules
from ae_jax.metrics.reconstruction import codes
from ae_jax.networks import Spec, autoencoder
from ae_jax.trial import sources_of, stored_functions
from ae_jax.types import Array, Params, UsageError

if TYPE_CHECKING:
  from ae_jax.trained import Trained

PLATFORMS = ("cpu", "cuda", "rocm", "tpu")
ENCODE, DECODE = "encode.stablehlo", "decode.stablehlo"
WEIGHTS, SPEC, README = "weights.safetensors", "spec.json", "README.md"
_STANDARDIZATION = "standardization"
_OTHER = (KeyError, AttributeError, *DAMAGED)  # at another `spec.json`


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
      # XLA folds the constants into one, (x - high) - low = x - (high + low).
      x = jax.lax.optimization_barrier(x - high[None])
      x = (x - low[None]) / std.astype(np.float32)[None]
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
    folder: created if needed; an earlier export in it is replaced.

  Returns:
    The files that were written.

  Raises:
    UsageError: the folder holds other files, or cannot be written; or the model
      is to be conditioned first.
  """
  check_folder(folder)
  trained.check_class()
  functions = {
    ENCODE: bytes(encoder(trained).serialize()),
    DECODE: bytes(decoder(trained).serialize()),
  }
  readme = {README: export_readme.text(trained, PLATFORMS).encode()}
  return _write(folder, functions | _weights(trained) | readme)


def save_weights(trained: Trained, folder: Path) -> list[Path]:
  """Writes only the weights and `spec.json`; as `save` otherwise."""
  check_folder(folder)
  return _write(folder, _weights(trained))


def read(folder: Path, modules: Modules = ()) -> dict[str, Any]:
  """The attributes of the `Trained` that `save` or `save_weights` wrote.

  Args:
    folder: of the export.
    modules: where functions of a user may be taken from, see `lookup.among`.

  Raises:
    UsageError: the folder holds no export, or the model needs another module.
  """
  described, arrays = _read(folder)
  spec, params = _network(folder, described, arrays, modules)
  try:
    data, history = described["data"], described["history"]
    statistics = None
    if f"{_STANDARDIZATION}.mean" in arrays:
      statistics = Standardization(
        arrays[f"{_STANDARDIZATION}.mean"], arrays[f"{_STANDARDIZATION}.std"]
      )
    return {
      "row": {k: _tuple(v) for k, v in described["trial"].items()},
      "history": {k: np.array(v, np.float32) for k, v in history.items()},
      "spec": spec,
      "params": params,
      "standardization": statistics,
      "data_range": _tuple(data["range"]),
      "bytes": bool(data["bytes"]),
    }
  except _OTHER as error:
    raise _of_other_version(folder) from error


def _weights(trained: Trained) -> dict[str, bytes]:
  require("export", "safetensors")
  import safetensors.numpy

  arrays = _flat(trained)
  described = json.dumps(_describe(trained, arrays), indent=2) + "\n"
  return {WEIGHTS: safetensors.numpy.save(arrays), SPEC: described.encode()}


def _write(folder: Path, files: dict[str, bytes]) -> list[Path]:
  """Writes files into a new folder, which replaces an old one."""
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


def load_weights(folder: Path, modules: Modules = ()) -> tuple[Spec, Params]:
  """The network of an export and its parameters; see `read`."""
  return _network(folder, *_read(folder), modules)


def _read(folder: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
  require("export", "safetensors")
  import safetensors.numpy

  try:
    described = json.loads(read_text(folder / SPEC))
    check_regular(folder / WEIGHTS)
    return described, safetensors.numpy.load_file(folder / WEIGHTS)
  except OSError as error:
    raise UsageError(f"{folder} holds no export: {error.strerror}") from error
  except (safetensors.SafetensorError, *DAMAGED) as error:
    raise UsageError(f"the export in {folder} is damaged: {error}") from error


def _network(
  folder: Path,
  described: dict[str, Any],
  arrays: dict[str, np.ndarray],
  modules: Modules,
) -> tuple[Spec, Params]:
  params: Params = {}
  try:
    for name, array in arrays.items():
      *path, leaf = name.split(".")
      if path[:1] != [_STANDARDIZATION]:
        node = params
        for key in path:
          node = node.setdefault(key, {})
        node[leaf] = array
    fields = {name: _tuple(v) for name, v in described["spec"].items()}
    options = {k: _tuple(v) for k, v in fields.pop("options").items()}
    needed = stored_functions(
      fields,
      fields["objective"] is not None,
      modules,
      described.get("sources", {}),
    )
    for kind in ("network", "likelihood"):
      if ":" in fields[kind]:
        fields[kind] = needed[kind]
    if fields["objective"] is not None:
      fields["objective"] = needed["objective"]
    spec = Spec(**fields, options=(*options.items(),))
    _check_shapes(folder, spec, params)
    return spec, params
  except UsageError:
    raise
  except _OTHER as error:
    raise _of_other_version(folder) from error


def _check_shapes(folder: Path, spec: Spec, params: Params) -> None:
  """Raises UsageError unless the arrays are those of the network."""
  like = jax.eval_shape(autoencoder(spec).init, jax.random.key(0))
  own = {name: params[name] for name in like if name in params}
  if jax.tree.map(np.shape, own) != jax.tree.map(np.shape, like):
    raise UsageError(f"the weights in {folder} are of another network")


def _of_other_version(folder: Path) -> UsageError:
  return UsageError(f"{folder / SPEC} is not of this version")


def _tuple(value: Any) -> Any:
  return tuple(value) if isinstance(value, list) else value


def _export(
  function: Callable[[Array], Array], shape: tuple[int, ...]
) -> export.Exported:
  (b,) = export.symbolic_shape("b")
  x = jax.ShapeDtypeStruct((b, *shape), np.float32)
  try:
    with jax.default_matmul_precision("highest"):  # as it was measured
      return export.export(jax.jit(function), platforms=PLATFORMS)(x)
  except Exception as error:
    if "_DimExpr" not in str(error):
      raise
    raise UsageError(
      "a function of the model wants a batch of one size, and an export takes"
      " any: in the place of len(x) write x.shape[0]"
    ) from error


def _flat(trained: Trained) -> dict[str, np.ndarray]:
  """Names such as `encoder.hidden_0.kernel` -> arrays."""
  arrays = {
    ".".join(key.key for key in path): np.array(leaf, order="C")
    for path, leaf in jax.tree_util.tree_leaves_with_path(trained.params)
  }
  if trained.standardization is not None:
    for name, values in trained.standardization._asdict().items():
      arrays[f"{_STANDARDIZATION}.{name}"] = np.array(values, order="C")
  return arrays


def _described_spec(spec: Spec) -> dict[str, Any]:
  """The fields of a spec, functions by name."""
  fields = {f.name: getattr(spec, f.name) for f in dataclasses.fields(spec)}
  for kind in ("network", "likelihood", "objective"):
    if callable(fields[kind]):
      fields[kind] = lookup.name_of(kind, fields[kind])
  return fields | {"options": dict(spec.options)}


def _describe(
  trained: Trained, arrays: dict[str, np.ndarray]
) -> dict[str, Any]:
  row, spec = trained.row, trained.spec
  return {
    "trial": row,
    "history": {name: term.tolist() for name, term in trained.history.items()},
    "spec": _described_spec(spec),
    "sources": sources_of(spec),
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
