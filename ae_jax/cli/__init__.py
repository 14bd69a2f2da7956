"""The command line: `ae-jax` and `python -m ae_jax`."""
