"""What a trained model is good for: groups of metrics, their units."""

from ae_jax.metrics.registry import GROUPS, METRICS, Metric, available_groups

__all__ = ["GROUPS", "METRICS", "Metric", "available_groups"]
