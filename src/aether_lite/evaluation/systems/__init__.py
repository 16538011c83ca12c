"""Systems that the benchmark compares, by name."""

from aether_lite.evaluation.systems.missing import MissingTool
from aether_lite.evaluation.systems.registry import SYSTEMS, available_systems, make_system, system_names
from aether_lite.evaluation.systems.system import Clip, Condition, Facts, Outcome, System

__all__ = [
    "SYSTEMS",
    "Clip",
    "Condition",
    "Facts",
    "MissingTool",
    "Outcome",
    "System",
    "available_systems",
    "make_system",
    "system_names",
]
