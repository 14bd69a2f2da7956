"""Encoders and decoders from a static spec: shipped networks, or a user's."""

from ae_jax.networks.activations import ACTIVATIONS
from ae_jax.networks.conditioning import given
from ae_jax.networks.masked import unpad
from ae_jax.networks.model import autoencoder, model_of
from ae_jax.networks.network import Network
from ae_jax.networks.spec import CODES, Spec
from ae_jax.networks.table import NETWORKS

__all__ = [
  "ACTIVATIONS",
  "CODES",
  "NETWORKS",
  "Network",
  "Spec",
  "autoencoder",
  "given",
  "model_of",
  "unpad",
]
