"""`python -m ae_jax` is the command `ae-jax`."""

import os
import sys

# Python puts the current folder first, which somebody else may have made.
sys.path[:] = [entry for entry in sys.path if entry not in ("", os.getcwd())]

from ae_jax.cli.main import main  # noqa: E402

main()
