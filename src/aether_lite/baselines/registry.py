"""Systems by name.

A new system is a class with the attributes and methods of
:class:`~aether_lite.baselines.system.System` in a file of this folder, and one entry here::

    SYSTEMS["hash-small"] = partial(HashSystem, "hash_small", "hash-small")

Its factory raises :class:`MissingToolError` where a package or program is absent, so that the benchmark can leave the
system out with a line that says what to install.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from aether_lite.baselines.analogue import AnalogueCodec
from aether_lite.baselines.ceilings import Original4k, VocoderOnly
from aether_lite.baselines.codec2 import PlainCodec2, codec2_over_ldpc, separation_systems
from aether_lite.baselines.digital.missing import MissingToolError
from aether_lite.baselines.hash_codec import HashSystem, hash_over_ldpc
from aether_lite.baselines.searching import SEARCHED, searched
from aether_lite.baselines.system import System
from aether_lite.baselines.uncoded import Uncoded
from aether_lite.codec import bit_search, symbol_search
from aether_lite.codec.loading import DEFAULT_CODEC, codec_path, is_hash_codec, released_codecs, released_hash_codecs
from aether_lite.errors import AetherError

CODEC_FILE = "codec:"  # prefix of a codec given as a file
CODED_HASH = "hash_small"  # released hash codec that is also compared behind a channel code


def _hash_systems() -> dict[str, Callable[[], System]]:
    """Every released hash codec, plain and with search, and one of them behind a channel code."""
    released = released_hash_codecs()
    systems: dict[str, Callable[[], System]] = {}
    for stem in released:
        name = stem.replace("_", "-")
        systems[name] = partial(HashSystem, stem, name)
        systems[name + SEARCHED] = searched(HashSystem, stem, name + SEARCHED, bit_search.STEPS)
    if CODED_HASH in released:
        systems["hash-ldpc"] = partial(hash_over_ldpc, CODED_HASH, "hash-ldpc")
    return systems


def _codecs() -> dict[str, Callable[[], System]]:
    """Every released codec of symbols, the default one first, plain and with search."""
    names = sorted(released_codecs(), key=lambda name: (name != DEFAULT_CODEC, name))
    systems: dict[str, Callable[[], System]] = {}
    for stem in names:
        name = f"codec-{stem}"
        systems[name] = partial(AnalogueCodec, stem, name)
        systems[name + SEARCHED] = searched(AnalogueCodec, stem, name + SEARCHED, symbol_search.STEPS)
    return systems


SYSTEMS: dict[str, Callable[[], System]] = {
    **_codecs(),
    **_hash_systems(),
    "vocoder-only": VocoderOnly,
    "original-4k": Original4k,
    "uncoded": Uncoded,
    "codec2": PlainCodec2,
    **{name: partial(codec2_over_ldpc, modes, name) for name, modes in separation_systems().items()},
}
"""Name -> factory. Making a system is cheap; what is heavy is loaded when it first transmits."""


def system_names() -> list[str]:
    """Names that :func:`make_system` knows, whether or not their tools are installed; ``codec:PATH`` comes on top."""
    return list(SYSTEMS)


def make_system(name: str) -> System:
    """A system by name.

    Args:
        name: a key of :data:`SYSTEMS`, or ``codec:PATH`` for a codec file, whose name in the results is
            ``codec-STEM`` or ``hash-STEM`` in lower case.

    Raises:
        MissingToolError: a package or program that it needs is absent; the message says what to install.
        AetherError: no such system, or a codec file that cannot be used.
    """
    if name.startswith(CODEC_FILE):
        path = Path(name.removeprefix(CODEC_FILE))
        kind = "hash" if is_hash_codec(codec_path(path)) else "codec"
        key = f"{kind}-" + path.stem.removeprefix(f"{kind}_").lower().replace(" ", "-")
        if key in SYSTEMS:
            key += "-file"
        return HashSystem(path, key) if kind == "hash" else AnalogueCodec(path, key)
    if name not in SYSTEMS:
        raise AetherError(f"unknown system {name!r}; known: {', '.join(SYSTEMS)}, {CODEC_FILE}PATH")
    return SYSTEMS[name]()


def available_systems(names: Sequence[str] | None = None) -> tuple[list[str], list[str]]:
    """Those systems whose tools are installed.

    Args:
        names: what to look at; None for all of :func:`system_names`.

    Returns:
        names that can be made, and one line for every other: its name and what to install.

    Raises:
        AetherError: an unknown name, or a codec file that cannot be used.
    """
    present, absent = [], []
    for name in system_names() if names is None else names:
        try:
            make_system(name)
        except MissingToolError as error:
            absent.append(f"{name}: {error}")
        else:
            present.append(name)
    return present, absent
