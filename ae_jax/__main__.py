"""`python -m ae_jax` is the command `ae-jax`."""

from ae_jax.cli.main import main

main()
