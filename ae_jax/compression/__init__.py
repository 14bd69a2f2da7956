"""Lossless compression of data by a trained VAE, into `.aej` files."""

from ae_jax.compression.file import compress, decompress, read_header

__all__ = ["compress", "decompress", "read_header"]
