"""Vocoders by name: where a vocoder registers itself, and where its weights are found.

A new vocoder is one module of this package. It defines a class with the methods of
:class:`~aether_lite.vocoder.synthesis.FrameVocoder` and registers a loader under the name of its kind::

    @vocoder("hnsf")
    def load(path: Path, fastest: bool) -> FrameVocoder: ...

Weights of the kind are ``.safetensors`` files whose metadata say ``format = hnsf``; released ones are listed in
:mod:`aether_lite.zoo`. Files of no stated kind, and public ``.pth`` checkpoints, are FARGAN's.
"""

from __future__ import annotations

import json
import pkgutil
from collections.abc import Callable
from functools import cache
from importlib import import_module
from pathlib import Path

from aether_lite import zoo
from aether_lite.vocoder.synthesis import FrameVocoder

DEFAULT_VOCODER = "fargan"
SAFETENSORS_SUFFIX = ".safetensors"
MAX_HEADER = 1 << 24  # bytes; a longer header of a safetensors file is not read

Loader = Callable[[Path, bool], FrameVocoder]
_loaders: dict[str, Loader] = {}


def vocoder(kind: str) -> Callable[[Loader], Loader]:
    """Register ``load(path, fastest)``, which reads a file of weights; ``fastest`` may take seconds to compile."""

    def register(load: Loader) -> Loader:
        _loaders[kind] = load
        return load

    return register


@cache
def _kinds() -> dict[str, Loader]:
    """Loaders by kind; imports every module of this package."""
    for module in pkgutil.iter_modules([str(Path(__file__).parent)]):
        import_module(f"aether_lite.vocoder.{module.name}")
    return _loaders


def load_vocoder(name: str | Path | None = None, fastest: bool = False) -> FrameVocoder:
    """Read a vocoder of any registered kind, ready for synthesis on the CPU.

    Args:
        name: of a released vocoder, or a file of weights; None for ``fargan``.
        fastest: the fastest implementation for one stream, which may have to be compiled first (some seconds).

    Raises:
        AetherError: no such vocoder, or a file that is not one.
    """
    path = vocoder_path(name)
    return _kinds().get(_format(path), _kinds()[DEFAULT_VOCODER])(path, fastest)


def released_vocoders() -> dict[str, Path]:
    """Weights that come with the package, by name."""
    return {name: zoo.path(name) for name in zoo.names("vocoder")}


def default_vocoder_path() -> Path:
    """The weights that are used where none are named."""
    return zoo.path(DEFAULT_VOCODER)


def vocoder_path(name: str | Path | None) -> Path:
    """File of a released vocoder's name, of the default for None, or the path itself when it is one.

    Raises:
        AetherError: neither a released vocoder nor a file.
    """
    return zoo.path(DEFAULT_VOCODER if name is None else name, "vocoder")


def _format(path: Path) -> str:
    """The kind that a safetensors file names; empty for another file. Its loader says what is wrong with it."""
    if path.suffix != SAFETENSORS_SUFFIX:
        return ""
    try:
        with path.open("rb") as file:
            size = int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(size)) if size <= MAX_HEADER else {}
    except (OSError, ValueError):
        return ""
    notes = header.get("__metadata__", {}) if isinstance(header, dict) else {}
    return str(notes.get("format", "")) if isinstance(notes, dict) else ""
