"""The README.md of an exported model: how to run it, how to rebuild it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ae_jax import lookup
from ae_jax.declarations import of_likelihood, of_network
from ae_jax.networks import Spec

if TYPE_CHECKING:
  from ae_jax.trained import Trained


def text(trained: Trained, platforms: Sequence[str]) -> str:
  """README.md of an exported model."""
  row, spec = trained.row, trained.spec
  declared = of_likelihood(spec.likelihood_function)
  return _TEXT.format(
    objective=row.get("objective"),
    id=row.get("id"),
    data=", ".join(map(str, ("b", *spec.features))),
    latent=spec.latent_size,
    platforms=", ".join(platforms),
    network=_network(spec) + _code(spec),
    library=_LIBRARY if declared.library_size is not None else "",
    missing=_MISSING if spec.missing else "",
    scale="" if trained.standardization is None else _SCALE,
  )


def _network(spec: Spec) -> str:
  """How encoder and decoder compute."""
  function = spec.network_function
  forward = of_network(function).forward
  if not forward:
    return (
      f"The layers are those of `{lookup.name_of('network', function)}`, which"
      " only the two `.stablehlo` files hold.\n"
    )
  likelihood = spec.likelihood_function
  tied = _TIED if spec.network_of({}).tie is not None else ""
  words = {
    "activation": spec.activation,
    "code": "mean" if spec.code == "gaussian" else "code",
    "code_activation": (
      "identity" if spec.code in ("gaussian", "linear") else spec.code
    ),
    "mean": of_likelihood(likelihood).formula
    or f"the mean of {lookup.name_of('likelihood', likelihood)} at h",
    "features": str(spec.features),
  }
  for name, word in words.items():  # other braces stay as they are
    forward = forward.replace(f"{{{name}}}", word)
  return tied + forward


def _code(spec: Spec) -> str:
  """What is special about the code."""
  lines = _GAUSSIAN if spec.code == "gaussian" else ""
  lines += _MASK if spec.missing else ""
  declared = spec.declaration
  for stage, function in (
    (
      "Before the encoder",
      declared.encoder_input
      or of_likelihood(spec.likelihood_function).encoder_input,
    ),
    ("After the encoder", declared.select),
  ):
    if function is not None:
      name = getattr(function, "__name__", repr(function))
      first, *_ = (function.__doc__ or name).strip().splitlines()
      own = first if not name.isidentifier() or name.startswith("_") else name
      lines += f"- {stage}: {own}\n"
  return lines


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
x / 255.{library}{missing}

## To build it elsewhere

`weights.safetensors` holds the arrays, `spec.json` their names and shapes, the
settings of the trial and the versions. Kernels of dense layers are
`[inputs, outputs]` (PyTorch's `Linear.weight` is their transpose).

{network}{scale}
Activations are those of `jax.nn`: `gelu` is the tanh approximation,
`leaky_relu` has slope 0.01.
"""
_LIBRARY = (
  " `decode` gives the mean at library size 1: multiply it by the sum of x."
)
_MISSING = """ NaN is a missing entry, and `decode(encode(x))` is complete."""
_TIED = """\
- The kernels of the decoder are transposes: of encoder.code (of a Gaussian
  code: encoder.mean) for decoder.latent, and of the encoder's hidden layers,
  the last one first, for the decoder's.
"""
_GAUSSIAN = """\
- encoder.log_variance gives the log-variance of q(z|x) as encoder.mean gives
  the mean, which is the code.
"""
_MASK = """\
- The encoder takes 0 for an entry of x that is NaN, and whether each entry is
  there, 1 or 0: as further channels of images `[b, height, width, channels]`,
  else behind each entry, on a further last axis.
"""
_SCALE = """\
- (x - standardization.mean) / standardization.std goes in, and what comes out
  is multiplied by std and added to mean; the two `.stablehlo` files do it.
"""
