"""Systems that the benchmark compares, by name."""

from aether_lite.evaluation.systems.system import Clip, Condition, Facts, Outcome, System

__all__ = ["Clip", "Condition", "Facts", "Outcome", "System"]
