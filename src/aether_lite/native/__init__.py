"""Kernels that numba compiles when first used, for one core: what those of vocoder and codec share.

Only the modules of the kernels import numba; this one does not.
"""

from __future__ import annotations

from importlib.util import find_spec

from aether_lite.errors import AetherError
from aether_lite.optional import how_to_install


def numba_available() -> bool:
    """Whether the extra ``realtime`` is installed."""
    return find_spec("numba") is not None


def require_numba(what: str) -> None:
    """Raise AetherError naming the extra where numba is not installed; ``what`` ("the compiled vocoder") needs it."""
    if not numba_available():
        raise AetherError(f"{what} needs numba: {how_to_install('realtime')}")
