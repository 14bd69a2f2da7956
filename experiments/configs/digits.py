"""All objectives over scikit-learn's handwritten digits: the default sweep.

    ./launch.sh

It is part of the package, so that `ae-jax sweep` has it anywhere; a copy of
`ae_jax/cli/digits.py` is a good start for a config of one's own.
"""

from ae_jax.cli.digits import get_config

__all__ = ["get_config"]
