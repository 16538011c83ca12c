"""Build backend of the Python package (PEP 517): scikit-build-core, which builds the library by CMake.

A machine without a C compiler takes the one of the package ``ziglang`` instead, and says so.
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from scikit_build_core import build as backend
from scikit_build_core.build import (  # noqa: F401  (hooks that nothing is added to)
    build_editable,
    build_sdist,
    get_requires_for_build_editable,
    get_requires_for_build_sdist,
    prepare_metadata_for_build_editable,
    prepare_metadata_for_build_wheel,
)

sys.path.insert(0, str(Path(__file__).parent))
import build

ZIGLANG = "ziglang>=0.13"


def get_requires_for_build_wheel(config_settings: Any = None) -> list[str]:
    """Further packages that a build needs on this machine."""
    needed = list(backend.get_requires_for_build_wheel(config_settings))
    return needed if build.of_system() or sys.platform == "win32" else [*needed, ZIGLANG]


def build_wheel(wheel_directory: str, config_settings: Any = None, metadata_directory: str | None = None) -> str:
    """The wheel, with the library in it."""
    with _compiler():
        return str(backend.build_wheel(wheel_directory, config_settings, metadata_directory))


@contextmanager
def _compiler() -> Iterator[None]:
    """CMake finds a compiler; on Windows it looks for one itself."""
    if build.of_system() or sys.platform == "win32":
        yield
        return
    print("aether-lite: no C compiler on this machine; building with the package ziglang", file=sys.stderr, flush=True)
    with TemporaryDirectory() as folder:
        for name in ("cc", "ar", "ranlib"):
            script = Path(folder) / name
            script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m ziglang {name} "$@"\n')
            script.chmod(script.stat().st_mode | stat.S_IXUSR)
        before = os.environ.get("PATH", "")
        os.environ.update(CC=f"{folder}/cc", PATH=f"{folder}{os.pathsep}{before}")
        try:
            yield
        finally:
            del os.environ["CC"]
            os.environ["PATH"] = before
