"""Systems that the benchmark compares, and the parts they share; a system sends a clip and reports what it cost.

A new system is a class (or a function that makes one) in a new file of this package, registered by name::

    @system("pulse-code")
    class PulseCode: ...

Making it raises :class:`~aether_lite.optional.MissingToolError` where a package or program is missing: the benchmark
leaves it out with a line that says what to install. A name that ends with a colon is a family: its factory gets the
rest of the name, as in ``codec:PATH``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Protocol, TypeVar

from torch import Tensor

from aether_lite import __version__
from aether_lite.channels.binary import BITS_PER_USE, BSC, Modulation
from aether_lite.errors import AetherError
from aether_lite.link import LinkConfig
from aether_lite.optional import MissingToolError
from aether_lite.payload import Symbols, papr_db
from aether_lite.vocoder import Vocoder, load_vocoder, synthesize

STATE_IN_WORDS = "as the condition says (default: gain and noise estimated from one pilot in ten, pilots not counted)"
IDEAL_SYNC = "ideal synchronisation; pilots and cyclic prefix not counted"


@dataclass(frozen=True)
class Clip:
    """A clip of speech."""

    name: str  # unique in a data set, such as its path below the root
    speech: Tensor  # ``[160 F] float32`` in [-1, 1] at 16 kHz; empty in a data set of features
    features: Tensor  # ``[F, 20] float32`` of the speech
    language: str = ""  # code such as ``en``; empty if it is not known


@dataclass(frozen=True)
class Condition:
    """One point of a grid.

    Attributes:
        options: further options of the channel, such as ``csi``, in a fixed order; ``probability`` and
            ``burst_tokens`` erase tokens on any channel.
    """

    channel: str  # a name in :data:`aether_lite.channels.CHANNELS`, or ``bsc``
    snr_db: float | None  # Es/N0 [dB]; None for no noise
    rate: int  # payload channel uses per second that the system may spend; on ``bsc`` a use is a bit
    options: tuple[tuple[str, str | float], ...] = ()
    error_rate: float | None = None  # share of bits that ``bsc`` flips; None on channels of symbols

    @property
    def takes_symbols(self) -> bool:
        return self.channel != BSC

    @property
    def noise(self) -> float | None:
        """Es/N0 [dB] or bit error rate; None without noise."""
        return self.snr_db if self.takes_symbols else self.error_rate


@dataclass(frozen=True)
class Facts:
    """What stays the same over all clips and conditions; stated with every table and picture."""

    latency_ms: float  # algorithmic latency, speech to speech [ms]
    channel_state: str  # what the receiver knows of the channel, in words
    trained_on: str = ""  # data behind the weights, in words; empty for systems without weights
    notes: str = ""  # assumptions a reader must know, such as ideal synchronisation


@dataclass(frozen=True)
class Outcome:
    """One clip after a system.

    Attributes:
        features: decoded features ``[F, 20]``; None for a system that has only audio, which is then analysed.
        measured: further numbers for the results, such as ``symbol_power``, ``papr_db``, ``bit_rate``, ``bler``.
    """

    features: Tensor | None
    audio: Tensor | None  # ``[160 F] float32``, aligned with the clip; None if it was not asked for
    uses: int  # channel uses spent on the clip
    measured: dict[str, float] = field(default_factory=dict)


class System(Protocol):
    """A speech link that the benchmark can run. Instances are made in each worker process."""

    name: str  # key in the results, such as ``codec-small`` or ``codec2-ldpc``; lower case, no spaces
    title: str  # in legends
    facts: Facts
    fingerprint: str  # changes whenever results could (hash of weights, versions of tools); part of the cache key

    def offers(self, condition: Condition) -> bool:
        """Whether the system can be run at a condition; those it cannot are left out of its rows."""
        ...

    def transmit(self, clip: Clip, condition: Condition, seed: int, audio: bool) -> Outcome:
        """Send one clip, with ``audio`` or features alone; noise and fading are those of the seed."""
        ...


Factory = TypeVar("Factory", bound=Callable[..., System])

SYSTEMS: dict[str, Callable[..., System]] = {}
"""Name -> factory. Making a system is cheap; what is heavy is loaded when it first transmits."""


def system(name: str) -> Callable[[Factory], Factory]:
    """Decorator that registers the factory of a system, or of a family of systems (``NAME:``), under a free name."""

    def register(factory: Factory) -> Factory:
        if name in SYSTEMS:
            raise ValueError(f"there is a system {name} already")
        SYSTEMS[name] = factory
        return factory

    return register


def system_names() -> list[str]:
    """Names that :func:`make_system` knows, whether or not their tools are installed; families left out."""
    return [name for name in SYSTEMS if not name.endswith(":")]


def make_system(name: str) -> System:
    """A system by name, such as ``codec-small``, or of a family, such as ``codec:PATH``.

    Raises:
        MissingToolError: a package or program that it needs is missing; the message says what to install.
        AetherError: no such system, or a codec file that cannot be used.
    """
    family, colon, member = name.partition(":")
    arguments: list[Any] = [member] if colon else []
    if family + colon not in SYSTEMS:
        families = [f"{known}PATH" for known in SYSTEMS if known.endswith(":")]
        raise AetherError(f"unknown system {name!r}; known: {', '.join([*system_names(), *families])}")
    return SYSTEMS[family + colon](*arguments)


def available_systems(names: Sequence[str] | None = None) -> tuple[list[str], list[str]]:
    """Names (of these, or of all systems) that can be made, and for every other a line that says what to install."""
    present, absent = [], []
    for name in system_names() if names is None else names:
        try:
            make_system(name)
        except MissingToolError as error:
            absent.append(f"{name}: {error}")
        else:
            present.append(name)
    return present, absent


def link_of(condition: Condition, seed: int, modulation: Modulation | None = None) -> LinkConfig:
    """The link of a condition; bits are sent over a channel of symbols by ``modulation``."""
    options: dict[str, Any] = dict(condition.options)
    erasure, burst = (options.pop(name, None) for name in ("probability", "burst_tokens"))
    modulation = modulation if condition.takes_symbols else None
    return LinkConfig(
        condition.channel, condition.rate * (BITS_PER_USE[modulation] if modulation else 1), condition.snr_db, seed,
        erasure=None if erasure is None else float(erasure), burst_tokens=None if burst is None else float(burst),
        options=options, error_rate=condition.error_rate, modulation=modulation,
    )  # fmt: skip


def symbol_measures(symbols: Symbols) -> dict[str, float]:
    """``symbol_power`` (mean |x|^2), ``papr_db`` [dB] and ``uses_per_s`` of the symbols sent of one clip."""
    values = symbols.values
    return {
        "symbol_power": float(values.abs().square().mean()),
        "papr_db": papr_db(values),
        "uses_per_s": values[0].numel() / symbols.seconds,
    }


_vocoder: Callable[[], Vocoder] = cache(load_vocoder)


def speak(features: Tensor) -> Tensor:
    """Speech ``[160 F] float32`` of features ``[F, 20]`` by the released vocoder."""
    return synthesize(features, _vocoder())


def fingerprint_of(*parts: Path | str | bytes) -> str:
    """16 hexadecimal digits of files, texts and the package's version."""
    digest = hashlib.sha256(__version__.encode())
    for part in parts:
        content = part.read_bytes() if isinstance(part, Path) else part
        digest.update(hashlib.sha256(content.encode() if isinstance(content, str) else content).digest())
    return digest.hexdigest()[:16]
