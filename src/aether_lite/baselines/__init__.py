"""Systems that the benchmark compares, by name."""

from aether_lite.baselines.digital.missing import MissingToolError
from aether_lite.baselines.registry import SYSTEMS, available_systems, make_system, system_names
from aether_lite.baselines.system import Clip, Condition, Facts, Outcome, System

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
