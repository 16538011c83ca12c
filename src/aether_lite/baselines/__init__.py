"""Systems that the benchmark compares, by name; see :mod:`aether_lite.baselines.registry` for how to add one."""

from __future__ import annotations

import importlib
import pkgutil

from aether_lite.baselines.registry import (
    SYSTEMS,
    Clip,
    Condition,
    Facts,
    Outcome,
    System,
    available_systems,
    make_system,
    system,
    system_names,
)
from aether_lite.optional import MissingToolError

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")

__all__ = [
    "SYSTEMS", "Clip", "Condition", "Facts", "MissingToolError", "Outcome", "System", "available_systems",
    "make_system", "system", "system_names",
]  # fmt: skip
