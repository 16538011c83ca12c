"""Optional packages behind a metric: whether they are installed, and what to say where they are not."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Sequence

from aether_lite.errors import AetherError


def installed(packages: Sequence[str]) -> bool:
    """Whether all of these importable modules are there; nothing is imported."""
    return not absent(packages)


def absent(packages: Sequence[str]) -> list[str]:
    """Those of the modules that are not installed."""
    return [name for name in packages if importlib.util.find_spec(name) is None]


def require(title: str, packages: Sequence[str], extra: str = "eval") -> None:
    """Refuse to measure without the packages.

    Raises:
        AetherError: one is not installed; says which extra brings it.
    """
    missing = absent(packages)
    if missing:
        raise AetherError(f"{title} needs {listed(missing)}: pip install aether-lite[{extra}]")


def keep_offline() -> None:
    """Tell onnxruntime, before it is imported, to send nothing about its use: from 1.29 on it does so by default.

    Its variable ``ORT_DISABLE_TELEMETRY`` is left alone where the user has set it.
    """
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")


def listed(missing: Sequence[str]) -> str:
    """The absent packages in words."""
    if len(missing) == 1:
        return f"the package {missing[0]}, which is not installed"
    return f"the packages {', '.join(missing)}, which are not installed"
