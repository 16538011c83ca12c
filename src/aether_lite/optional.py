"""Optional packages and programs: whether they are installed, and errors that say how to install them."""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Sequence

from aether_lite.errors import AetherError


class MissingToolError(AetherError):
    """A package or program is not installed; the message says how to install it."""


def missing_packages(modules: Sequence[str]) -> list[str]:
    """Those of the importable modules that are not installed; nothing is imported."""
    return [name for name in modules if importlib.util.find_spec(name) is None]


def require_packages(what: str, modules: Sequence[str], extra: str = "eval") -> None:
    """Raise MissingToolError where one of the importable ``modules`` is not installed.

    Args:
        what: needs them, in words.
        modules: names by which they are imported.
        extra: of this package, that installs them.
    """
    if missing := missing_packages(modules):
        raise MissingToolError(f"{what} needs {in_words(missing)}: {how_to_install(extra)}")


def require_programs(what: str, programs: Sequence[str], package: str) -> None:
    """Raise MissingToolError where a program is not on the path; ``package`` is Debian's that holds them."""
    for program in programs:
        if shutil.which(program) is None:
            raise MissingToolError(f"{what} needs the program {program}: apt install {package} (or its like elsewhere)")


def in_words(missing: Sequence[str]) -> str:
    """Missing packages in words, such as "the package pesq, which is not installed"."""
    if len(missing) == 1:
        return f"the package {missing[0]}, which is not installed"
    return f"the packages {', '.join(missing)}, which are not installed"


def how_to_install(extra: str) -> str:
    """Command that installs an extra of this package, from a checkout."""
    return f"pip install '.[{extra}]'"


def disable_onnxruntime_telemetry() -> None:
    """Stop onnxruntime, before it is imported, from reporting its use, unless ``ORT_DISABLE_TELEMETRY`` is set."""
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
