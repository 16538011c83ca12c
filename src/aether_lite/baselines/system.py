"""What the benchmark compares: a system takes a clip of speech over a channel and says what it cost."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from torch import Tensor

from aether_lite.channels.binary import BSC


@dataclass(frozen=True)
class Clip:
    """A clip of speech.

    Attributes:
        name: unique in a data set, such as its path below the root.
        speech: ``[160 F] float32`` in [-1, 1] at 16 kHz.
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
        options: further options of the channel, such as ``state``, in a fixed order.
        error_rate: share of bits that ``bsc`` turns; None on channels of symbols.
    """

    channel: str
    snr_db: float | None
    rate: int
    options: tuple[tuple[str, str | float], ...] = ()
    error_rate: float | None = None

    @property
    def takes_symbols(self) -> bool:
        """Whether the channel takes symbols; else it takes bits."""
        return self.channel != BSC


@dataclass(frozen=True)
class Facts:
    """What stays the same over all clips and conditions; named on every table and picture.

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
    """What arrived of one clip.

    Attributes:
        features: decoded features ``[F, 20]``; None for a system that has only audio (its features are then those
            of the audio).
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
        title: what legends call it.
        facts: see :class:`Facts`.
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
        """Send one clip.

        Args:
            clip: what to send.
            condition: the channel and the budget.
            seed: of noise and fading; the same arguments give the same outcome.
            audio: whether to make audio too.
        """
        ...
