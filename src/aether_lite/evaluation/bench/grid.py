"""Which conditions a benchmark runs, and which of them also get the costly audio metrics."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from aether_lite.channels import CHANNELS
from aether_lite.errors import AetherError
from aether_lite.evaluation.systems import Condition
from aether_lite.jscc import RATES

Item = TypeVar("Item")

NOISELESS = ("clean",)  # channels without an Es/N0
NO_STATE = ("clean",)  # channels that have no state to estimate
SPEECH_CODERS = "codec2-"  # names of systems that code speech, not features
SHOWN_MODES = ("codec2-700c-qpsk", "codec2-2400-16qam")  # the most robust and the fastest: where each breaks off
AUDIO_CONDITIONS = 6
STANDARD_AUDIO: tuple[tuple[str, int, float], ...] = (
    ("awgn", 1000, 0.0),
    ("awgn", 1000, 6.0),
    ("awgn", 1000, 20.0),
    ("awgn", 300, 0.0),
    ("awgn", 300, 10.0),
    ("mpp", 1000, 6.0),
)
"""Channel, rate [uses/s] and Es/N0 [dB] of the standard conditions with audio metrics."""


@dataclass(frozen=True)
class Grid:
    """Axes of a benchmark.

    Attributes:
        rates: channel uses per second.
        snrs_db: Es/N0 [dB].
        channels: names in :data:`aether_lite.channels.CHANNELS`.
        clips: how many clips, spread evenly over the data set in name order; None for all.
        audio_clips: how many of those get audio metrics.
        audio_conditions: at how many conditions.
        seconds: only so much from the start of each clip [s]; None for all of it.
        state: what the receiver knows of the channel; None for the channel's own default.
    """

    rates: tuple[int, ...] = (150, 300, 600, 1000)
    snrs_db: tuple[float, ...] = (-6.0, -3.0, 0.0, 3.0, 6.0, 10.0, 20.0)
    channels: tuple[str, ...] = ("awgn", "mpp")
    clips: int | None = 24
    audio_clips: int = 24
    audio_conditions: int = AUDIO_CONDITIONS
    seconds: float | None = None
    state: str | None = None

    def check(self) -> None:
        """Refuse what no system could run.

        Raises:
            AetherError: an empty axis, or a rate, channel or number that is unknown; the message lists the known ones.
        """
        for name, axis in (("rate", self.rates), ("SNR", self.snrs_db), ("channel", self.channels)):
            if not axis:
                raise AetherError(f"no {name} is given; give at least one")
        for rate in self.rates:
            if rate not in RATES:
                raise AetherError(f"rate {rate} uses/s is not one of {', '.join(map(str, RATES))}")
        for channel in self.channels:
            if channel not in CHANNELS:
                raise AetherError(f"channel {channel!r} is not one of {', '.join(CHANNELS)}")
        for snr in self.snrs_db:
            if not -30 <= snr <= 60:
                raise AetherError(f"SNR {snr:g} dB is out of range; give Es/N0 from -30 to 60 dB")

    def conditions(self) -> list[Condition]:
        """All conditions: channel by channel, rate by rate, rising SNR."""
        return [
            Condition(channel, snr, rate, self._options(channel))
            for channel in self.channels
            for rate in self.rates
            for snr in ((None,) if channel in NOISELESS else sorted(self.snrs_db))
        ]

    def heard(self) -> list[Condition]:
        """Conditions with audio metrics: the standard ones that the grid has, or if none, an even choice."""
        everything = self.conditions()
        standard = [c for c in everything if (c.channel, c.rate, c.snr_db) in STANDARD_AUDIO]
        return evenly(standard or everything, self.audio_conditions)

    def _options(self, channel: str) -> tuple[tuple[str, str | float], ...]:
        return () if self.state is None or channel in NO_STATE else (("state", self.state),)


STANDARD = Grid()
QUICK = replace(
    STANDARD, rates=(300, 1000), snrs_db=(0.0, 6.0, 20.0), channels=("awgn",), clips=6, audio_clips=2,
    audio_conditions=2, seconds=4.0,
)  # fmt: skip


def default_systems(names: Sequence[str], quick: bool, has_audio: bool) -> list[str]:
    """Those of the systems that are compared when none is named.

    Args:
        names: all that can be run.
        quick: without the fixed modes, of which the standard grid takes two, for their cliffs.
        has_audio: without it, those that code speech itself are left out.
    """
    modes = () if quick else SHOWN_MODES
    adaptive = f"{SPEECH_CODERS}ldpc"
    coders = {adaptive, *modes} if has_audio else set()
    return [name for name in names if not name.startswith(SPEECH_CODERS) or name in coders]


def evenly(items: Sequence[Item], most: int | None) -> list[Item]:
    """At most ``most`` items (all for None), spread evenly, in their order."""
    if most is None or len(items) <= most:
        return list(items)
    if most <= 1:
        return list(items[:most])
    return [items[round(index * (len(items) - 1) / (most - 1))] for index in range(most)]
