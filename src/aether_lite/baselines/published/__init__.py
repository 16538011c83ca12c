"""Figures of other systems that are drawn beside ours, not run."""

from aether_lite.baselines.published.points import PublishedPoint, better_model, published_points

__all__ = ["PublishedPoint", "better_model", "published_points"]
