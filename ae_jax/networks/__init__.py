"""Encoders and decoders from a static spec: MLP and convolutional."""

from ae_jax.networks.masked import unpad
from ae_jax.networks.model import autoencoder
from ae_jax.networks.spec import ACTIVATIONS, CODES, NETWORKS, Spec

__all__ = ["ACTIVATIONS", "CODES", "NETWORKS", "Spec", "autoencoder", "unpad"]
