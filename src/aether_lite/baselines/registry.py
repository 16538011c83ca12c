"""Systems that the benchmark compares: a system sends a clip of speech over a channel and reports what it cost.

A new system is a class (or a function that makes one) in a new file of this package, registered by name::

    @system("pulse-code")
    class PulseCode: ...

Making it raises :class:`~aether_lite.optional.MissingToolError` where a package or program is missing: the benchmark
leaves it out with a line that says what to install. A name that ends with a colon is a family: its factory gets the
rest of the name, as in ``codec:PATH``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from torch import Tensor

from aether_lite.channels.binary import BSC
from aether_lite.errors import AetherError
from aether_lite.optional import MissingToolError


@dataclass(frozen=True)
class Clip:
    """A clip of speech.

    Attributes:
        name: unique in a data set, such as its path below the root.
        speech: ``[160 F] float32`` in [-1, 1] at 16 kHz; empty in a data set of features.
        features: ``[F, 20] float32`` of the speech.
        language: code such as ``en``; empty if it is not known.
    """

    name: str
    speech: Tensor
    features: Tensor
    language: str = ""


@dataclass(frozen=True)
class Condition:
    """One point of a grid.

    Attributes:
        channel: a name in :data:`aether_lite.channels.CHANNELS`, or ``bsc``.
        snr_db: Es/N0 [dB]; None for no noise.
        rate: payload channel uses per second that the system may spend; on ``bsc`` a use is a bit.
        options: further options of the channel, such as ``csi``, in a fixed order; ``probability`` and
            ``burst_tokens`` erase tokens on any channel.
        error_rate: share of bits that ``bsc`` flips; None on channels of symbols.
    """

    channel: str
    snr_db: float | None
    rate: int
    options: tuple[tuple[str, str | float], ...] = ()
    error_rate: float | None = None

    @property
    def takes_symbols(self) -> bool:
        return self.channel != BSC

    @property
    def noise(self) -> float | None:
        """Es/N0 [dB] or bit error rate; None without noise."""
        return self.snr_db if self.takes_symbols else self.error_rate


@dataclass(frozen=True)
class Facts:
    """What stays the same over all clips and conditions; stated with every table and picture.

    Attributes:
        latency_ms: algorithmic latency, speech to speech [ms].
        channel_state: what the receiver knows of the channel, in words.
        trained_on: data behind the weights, in words; empty for systems without weights.
        notes: assumptions a reader must know, such as ideal synchronisation.
    """

    latency_ms: float
    channel_state: str
    trained_on: str = ""
    notes: str = ""


@dataclass(frozen=True)
class Outcome:
    """One clip after a system.

    Attributes:
        features: decoded features ``[F, 20]``; None for a system that has only audio, which is then analysed.
        audio: ``[160 F] float32``, aligned with the clip; None if it was not asked for.
        uses: channel uses spent on the clip.
        measured: further numbers for the results, such as ``symbol_power``, ``papr_db``, ``bit_rate``, ``bler``.
    """

    features: Tensor | None
    audio: Tensor | None
    uses: int
    measured: dict[str, float] = field(default_factory=dict)


class System(Protocol):
    """A speech link that the benchmark can run. Instances are made in each worker process.

    Attributes:
        name: key in the results, such as ``codec-small`` or ``codec2-ldpc``; lower case, no spaces.
        title: in legends.
        fingerprint: changes whenever results could (hash of weights, versions of tools); part of the cache key.
    """

    name: str
    title: str
    facts: Facts
    fingerprint: str

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
