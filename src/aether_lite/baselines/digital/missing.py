"""The error of a system whose packages or programs are not installed."""

from __future__ import annotations

import importlib.util
import shutil

from aether_lite.errors import AetherError


class MissingToolError(AetherError):
    """A package or program is absent; the message says how to install it."""


def require_package(module: str, package: str, what: str) -> None:
    """Raise MissingToolError where a Python module of the extra ``eval`` cannot be found.

    Args:
        module: what is imported.
        package: what is installed.
        what: that needs it, in words.
    """
    if importlib.util.find_spec(module) is None:
        raise MissingToolError(f"{what} needs the package {package}: pip install aether-lite[eval]")


def require_programs(programs: tuple[str, ...], package: str, what: str) -> None:
    """Raise MissingToolError where a program is not on the path.

    Args:
        programs: their names.
        package: of the system's package manager (Debian's name).
        what: that needs them, in words.
    """
    for program in programs:
        if shutil.which(program) is None:
            raise MissingToolError(f"{what} needs the program {program}: apt install {package} (or its like elsewhere)")
