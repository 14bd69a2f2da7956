"""A finished run as one HTML page that needs no network."""

from ae_jax.report.notebook import Page
from ae_jax.report.page import REPORT, write
from ae_jax.report.still import write_picture

__all__ = ["REPORT", "Page", "write", "write_picture"]
