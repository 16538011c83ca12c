"""Plugins of ``bench``: Python files that register systems, channels and metrics where the package registers its own.

::

    from aether_lite.baselines import system

    @system("mine")
    class MySystem: ...
"""

from __future__ import annotations

import hashlib
import importlib.util
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from aether_lite.errors import AetherError
from aether_lite.metrics import Metric

_PREFIX = "aether_lite_plugin_"


def load_plugins(paths: Sequence[Path]) -> None:
    """Run each file once in this process.

    Raises:
        AetherError: a file is not there; errors of the file itself pass unchanged.
    """
    for path in paths:
        name = _PREFIX + hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:12]
        if name in sys.modules:
            continue
        spec = importlib.util.spec_from_file_location(name, path)
        if path.suffix != ".py" or not path.is_file() or spec is None or spec.loader is None:
            raise AetherError(f"{path}: no such plugin; give a Python file")
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)


def of_plugins(metrics: Mapping[str, Metric]) -> list[str]:
    """Names of the metrics that plugins registered."""
    modules = {name: getattr(metric.function, "__module__", "") for name, metric in metrics.items()}
    return [name for name, module in modules.items() if module.startswith(_PREFIX)]


def plugin_hashes(paths: Sequence[Path]) -> list[str]:
    """Hash of each file, for the cache."""
    return [hashlib.sha256(path.read_bytes()).hexdigest()[:16] for path in paths]
