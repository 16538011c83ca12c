"""What systems share that search for what they send: what they are and what they need."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from aether_lite.baselines.digital.missing import MissingToolError
from aether_lite.baselines.system import System
from aether_lite.codec import bit_search, search, symbol_search
from aether_lite.errors import AetherError
from aether_lite.losses.asr import recogniser_file
from aether_lite.losses.asr.weights import DEFAULT_EAR, ear_path

SEARCHED = "-search"  # suffix of a system's name


def search_settings(steps: int) -> list[Path | str]:
    """What the results of a search depend on."""
    if not steps:
        return []
    code = [Path(str(module.__file__)) for module in (search, bit_search, symbol_search)]
    return [f"{steps} steps", *code, ear_path(DEFAULT_EAR)]


def searched(factory: Callable[..., System], model: str, name: str, steps: int) -> Callable[[], System]:
    """Factory of a system of :mod:`~aether_lite.baselines` that searches."""
    return partial(_make, partial(factory, model, name, steps))


def _make(factory: Callable[[], System]) -> System:
    try:
        recogniser_file()
    except AetherError as error:
        raise MissingToolError(str(error)) from error
    return factory()
