"""How kernels are compiled and where the result is kept."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numba
from numba import types
from numba.extending import intrinsic

OPTIONS = {
    "nogil": True,  # threads work side by side
    "fastmath": {"contract"},  # a multiplication and an addition may become one instruction
    "error_model": "numpy",  # no check for division by zero, which would keep loops from becoming vector code
}


def compiled(function: Callable[..., Any]) -> Any:
    """``numba.njit`` as this package uses it."""
    return numba.njit(**OPTIONS)(function)


@intrinsic  # type: ignore[untyped-decorator]
def called(_: Any) -> Any:
    """Placed in a function: LLVM calls it and never copies it into its callers. Copies cost many seconds."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        builder.function.attributes.add("noinline")
        return context.get_dummy_value()

    return types.void(), codegen


def cached(*constants: ModuleType) -> Callable[[Callable[..., Any]], Any]:
    """The same for the outermost function, kept on disk where numba finds a folder it may write.

    That is ``NUMBA_CACHE_DIR``, the folder of the function's file, or the user's cache, in this order; with none of
    them the function is compiled once in every process. numba notices changes of one file only, so the name under
    which the result is kept holds a digest of all sources it depends on: this package, the folder of the function's
    file, and ``constants``.

    Args:
        constants: other modules whose values are part of the code.
    """

    def decorate(function: Callable[..., Any]) -> Any:
        folders = [Path(__file__).parent, Path(function.__code__.co_filename).parent]
        sources = [file for folder in folders for file in sorted(folder.glob("*.py"))]
        sources += [Path(str(module.__file__)) for module in constants]
        digest = hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()
        function.__qualname__ = f"{function.__qualname__}_{digest[:12]}"
        try:
            return numba.njit(cache=True, **OPTIONS)(function)
        except RuntimeError as error:
            if "no locator available" not in str(error):
                raise
            return compiled(function)

    return decorate
