"""Autoencoders in JAX: a whole sweep is one compiled program."""

__version__ = "0.1.0"
