"""Who trains the groups of a sweep: this process."""

from ae_jax.executors.local import train_groups

__all__ = ["train_groups"]
