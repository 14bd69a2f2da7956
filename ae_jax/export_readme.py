"""The README.md of an exported model: how to run it, how to rebuild it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ae_jax.likelihoods import NUM_LOGISTICS
from ae_jax.networks import ACTIVATIONS

if TYPE_CHECKING:
  from ae_jax.trained import Trained


def text(trained: Trained, platforms: Sequence[str]) -> str:
  """README.md of an exported model."""
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
    platforms=", ".join(platforms),
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
  "gaussian": "h",
  "sigmoid_gaussian": "sigmoid(h)",
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
