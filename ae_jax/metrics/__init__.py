"""What a trained model is good for: groups of metrics, their units."""

from ae_jax.metrics.columns import GROUPS, METRICS
from ae_jax.metrics.registry import Metric, available_groups

__all__ = ["GROUPS", "METRICS", "Metric", "available_groups"]
