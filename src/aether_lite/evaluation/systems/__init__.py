"""Systems that the benchmark compares, by name."""

from aether_lite.evaluation.digital.missing import MissingToolError
from aether_lite.evaluation.systems.registry import SYSTEMS, available_systems, make_system, system_names
from aether_lite.evaluation.systems.system import Clip, Condition, Facts, Outcome, System

__all__ = [
    "SYSTEMS",
    "Clip",
    "Condition",
    "Facts",
    "MissingToolError",
    "Outcome",
    "System",
    "available_systems",
    "make_system",
    "system_names",
]
