"""Trains a grid of autoencoders: `ae-jax sweep` with the configs beside it.

./launch.sh sweep [--workdir=DIR] [--config=FILE] [--config.FIELD=VALUE ...]
"""

from collections.abc import Sequence
from pathlib import Path

from ae_jax.cli import start, sweep

CONFIGS = Path(__file__).parent / "configs"


def main(argv: Sequence[str]) -> None:
  """Runs the program; exits with 2 and one line at a mistake of the user."""
  sweep.main(argv, CONFIGS)


if __name__ == "__main__":
  start.run(main)
