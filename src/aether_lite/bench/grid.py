"""Conditions of a benchmark, and which of them also get audio metrics."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from aether_lite.baselines import Condition
from aether_lite.baselines.codec import REFINED
from aether_lite.baselines.codec2 import CODEC2
from aether_lite.channels import CHANNELS
from aether_lite.channels.binary import BSC, ERROR_RATE_RANGE
from aether_lite.channels.channel import SNR_RANGE_DB
from aether_lite.errors import AetherError
from aether_lite.metrics import AUDIO_METRICS
from aether_lite.payload import BIT_RATES, RATES

Item = TypeVar("Item")

CLEAN = "clean"  # the channel without noise, gain or anything to estimate
SPEECH_CODERS = ("codec2", "original-4k", "wavs:")  # how names of systems begin that need speech, not features
CODED_HASH = "hash-ldpc"  # the hash codec behind a channel code
BIT_AXIS = tuple(sorted({*BIT_RATES, *(round(codec.bit_rate) for codec in CODEC2.values())}))
"""Bit rates [bit/s] at which any system can be run on ``bsc``."""
SHOWN_MODES = ("codec2-700c-qpsk", "codec2-2400-16qam")  # the most robust and the fastest: where each breaks off
STANDARD_AUDIO: tuple[tuple[str, int, float], ...] = (
    ("awgn", 1000, 0.0), ("awgn", 1000, 6.0), ("awgn", 1000, 20.0), ("awgn", 300, 0.0), ("awgn", 300, 10.0),
    ("mpp", 1000, 6.0),
)  # fmt: skip
"""Channel, rate [uses/s] and Es/N0 [dB] of the standard conditions with audio metrics."""


@dataclass(frozen=True)
class Grid:
    """Axes of a benchmark: channels of symbols with rates and SNRs, or ``bsc`` with bit rates and bit error rates.

    Attributes:
        audio_clips, audio_conditions: how many clips and conditions get audio metrics.
    """

    rates: tuple[int, ...] = (150, 300, 600, 1000)  # channel uses per second; on ``bsc`` bit/s
    snrs_db: tuple[float, ...] = (-6.0, -3.0, 0.0, 3.0, 6.0, 10.0, 20.0)  # Es/N0 [dB]; empty on ``bsc``
    channels: tuple[str, ...] = ("awgn", "mpp")  # names in :data:`aether_lite.channels.CHANNELS`, or ``bsc`` alone
    clips: int | None = 24  # how many, spread evenly over the data set in name order; None for all
    audio_clips: int = 24
    audio_conditions: int = len(STANDARD_AUDIO)
    seconds: float | None = None  # only so much from the start of each clip [s]; None for all of it
    csi: str | None = None  # what the receiver knows of the channel; None for the channel's own default
    error_rates: tuple[float, ...] = ()  # of ``bsc``; empty on channels of symbols
    without: tuple[str, ...] = ()  # audio metrics that are not measured
    noises: int = 1  # noises of the channel over which every number is a mean
    equal_energy: bool = False  # whether N0 counts from the power really sent, not from the nominal Es = 1

    @property
    def on_bits(self) -> bool:
        """Whether the channel takes bits."""
        return BSC in self.channels

    def check(self) -> None:
        """Refuse what no system could run.

        Raises:
            AetherError: an empty axis, or a rate, channel or number that is unknown; the message lists the known ones.
        """
        noise = ("bit error rate", self.error_rates) if self.on_bits else ("SNR", self.snrs_db)
        for name, axis in (("rate", self.rates), noise, ("channel", self.channels)):
            if not axis:
                raise AetherError(f"no {name} is given; give at least one")
        if self.on_bits and (len(self.channels) > 1 or self.snrs_db):
            raise AetherError(f"channel {BSC} takes bits: it has no SNR, and is not run together with other channels")
        if self.error_rates and not self.on_bits:
            raise AetherError(f"bit error rates are of the channel {BSC}; {', '.join(self.channels)} take an SNR")
        unit, rates = ("bit/s", BIT_AXIS) if self.on_bits else ("uses/s", RATES)
        axes: tuple[tuple[str, Sequence[object], Sequence[object]], ...] = (
            ("channel {!r} is not one of", self.channels, (*CHANNELS, BSC)),
            (f"rate {{}} {unit} is not one of", self.rates, rates),
            ("{!r} is not an audio metric; there are", self.without, tuple(AUDIO_METRICS)),
        )
        for words, given, known in axes:
            for value in given:
                if value not in known:
                    raise AetherError(f"{words.format(value)} {', '.join(map(str, known))}")
        ranges = (
            ("SNR {:g} dB is out of range; give Es/N0 from {:g} to {:g} dB", self.snrs_db, SNR_RANGE_DB),
            ("bit error rate {:g} is out of range; give {:g} to {:g}", self.error_rates, ERROR_RATE_RANGE),
        )
        for words, numbers, (low, high) in ranges:
            for number in numbers:
                if not low <= number <= high:
                    raise AetherError(words.format(number, low, high))

    def conditions(self) -> list[Condition]:
        """All conditions: channel by channel, rate by rate, rising SNR or bit error rate."""
        conditions = []
        for channel in self.channels:
            options = (("csi", self.csi),) if self.csi is not None and channel != CLEAN else ()
            noises: list[tuple[float | None, float | None]] = [(snr, None) for snr in sorted(self.snrs_db)]
            if channel in (CLEAN, BSC):
                noises = [(None, None)] if channel == CLEAN else [(None, p) for p in sorted(self.error_rates)]
            conditions += [Condition(channel, snr, r, options, p) for r in self.rates for snr, p in noises]
        return conditions

    def with_audio(self) -> list[Condition]:
        """Conditions with audio metrics: the standard ones that the grid has, or if none, an even choice."""
        everything = self.conditions()
        standard = [c for c in everything if (c.channel, c.rate, c.snr_db) in STANDARD_AUDIO]
        return evenly(standard or everything, self.audio_conditions)


STANDARD = Grid()
QUICK = replace(
    STANDARD, rates=(300, 1000), snrs_db=(0.0, 6.0, 20.0), channels=("awgn",), clips=6, audio_clips=2,
    audio_conditions=2, seconds=4.0,
)  # fmt: skip
BITS = replace(
    STANDARD, rates=BIT_AXIS, snrs_db=(), channels=(BSC,), error_rates=(0.0, 0.01, 0.05), audio_conditions=100
)  # fmt: skip
QUICK_BITS = replace(BITS, error_rates=(0.0, 0.05), clips=6, audio_clips=2, seconds=4.0)


def basis(quick: bool, on_bits: bool) -> Grid:
    """The grid that options change."""
    return ((STANDARD, QUICK), (BITS, QUICK_BITS))[on_bits][quick]


def default_systems(names: Sequence[str], quick: bool, has_audio: bool, on_bits: bool = False) -> list[str]:
    """Of all names, the systems that are compared when none is given; those that refine are slow and left out.

    On bits: source coders without a channel code, and ceilings. The standard grid takes two fixed modes for their
    cliffs, the quick one none. Without audio, those that take speech itself are left out.
    """
    coders = {"codec2-ldpc", *(() if quick else SHOWN_MODES)}
    if on_bits:
        coders = {"codec2", "original-4k"}
        names = [n for n in names if n in coders | {"vocoder-only"} or (n.startswith("hash-") and n != CODED_HASH)]
    names = [name for name in names if not name.endswith(REFINED)]
    return [name for name in names if not name.startswith(SPEECH_CODERS) or (has_audio and name in coders)]


def evenly(items: Sequence[Item], most: int | None) -> list[Item]:
    """At most ``most`` items (all for None), spread evenly, in their order."""
    if most is None or most <= 1 or len(items) <= most:
        return list(items[:most])
    return [items[round(index * (len(items) - 1) / (most - 1))] for index in range(most)]
