"""Figures of other systems that are drawn beside ours, not run."""

from aether_lite.evaluation.published.points import PublishedPoint, better_model, published_points

__all__ = ["PublishedPoint", "better_model", "published_points"]
