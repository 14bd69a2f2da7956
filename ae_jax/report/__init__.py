"""A finished run as one HTML page that needs no network."""

from ae_jax.report.page import write
from ae_jax.report.still import write_picture

__all__ = ["write", "write_picture"]
