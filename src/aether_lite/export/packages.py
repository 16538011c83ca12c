"""The packages of the extra ``onnx``, imported when they are needed."""

from __future__ import annotations

import importlib
import importlib.util
from typing import Any

from aether_lite.errors import AetherError

EXPORT_PACKAGES = ("onnx", "onnxscript", "onnxruntime")  # the last one checks what was exported


def check_export_packages() -> None:
    """Refuse, before any work, to export without the packages for it.

    Raises:
        AetherError: one is missing.
    """
    for name in EXPORT_PACKAGES:
        if importlib.util.find_spec(name) is None:
            raise _missing(name, "export")


def onnxruntime() -> Any:
    """The module ``onnxruntime``.

    Raises:
        AetherError: it is missing.
    """
    try:
        return importlib.import_module("onnxruntime")
    except ImportError as error:
        raise _missing("onnxruntime", "running exported graphs") from error


def _missing(name: str, purpose: str) -> AetherError:
    return AetherError(f"{purpose} needs the package {name}, which is not installed: pip install aether-lite[onnx]")
