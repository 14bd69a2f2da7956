"""Autoencoders in JAX: a whole sweep is one compiled program."""

from ae_jax.run_folder.load import load

__all__ = ["load"]
__version__ = "0.1.0"
