"""The table of networks: each a function (spec, **hyper) -> `Network`."""

from collections.abc import Callable

from ae_jax.networks.conv import conv
from ae_jax.networks.mlp import mlp
from ae_jax.networks.network import Network
from ae_jax.networks.residual_mlp import residual_mlp

NETWORKS: dict[str, Callable[..., Network]] = {
  "mlp": mlp,
  "conv": conv,
  "residual_mlp": residual_mlp,
}
