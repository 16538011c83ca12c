"""Ways for bits: a binary symmetric channel, or BPSK and QPSK with soft decisions over any channel of symbols."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import get_args

import torch

from aether_lite.channels import CHANNELS, Received, Symbols
from aether_lite.channels.binary import BSC, ERROR_RATE_RANGE, bsc, lose_tokens
from aether_lite.channels.keying import BITS_PER_USE, Modulation, decided, modulated
from aether_lite.channels.parameters import SNR_RANGE_DB, checked_number
from aether_lite.errors import AetherError
from aether_lite.hash import checked_bit_rate
from aether_lite.link.config import Link, Way
from aether_lite.payload import Bits, ReceivedBits, elements_per_token


@dataclass(frozen=True)
class Crossed:
    """Bits after a way.

    Attributes:
        arrived: what the decoder takes.
        on_air: symbols that were sent and what arrived of them; None for a binary channel.
    """

    arrived: ReceivedBits
    on_air: tuple[Symbols, Received] | None = None


@dataclass(frozen=True)
class BitLink(Way):
    """A way for bits; ``channel`` is ``bsc`` or a channel of symbols, ``rate`` is in bit/s.

    Attributes:
        error_rate: share of bits that ``bsc`` turns, 0..0.5; None on channels of symbols.
        modulation: on channels of symbols; ``bpsk`` takes a use a bit, ``qpsk`` half of that.
    """

    error_rate: float | None = None
    modulation: Modulation = "qpsk"

    @property
    def carrier(self) -> Link:
        """The way of the symbols.

        Raises:
            AetherError: a bit error rate is given, which such a way brings about itself.
        """
        if self.error_rate is not None:
            raise AetherError(f"a bit error rate is of the channel {BSC}; {self.channel} makes its own errors")
        uses = self.rate // BITS_PER_USE[self.modulation]
        return Link(self.channel, uses, self.snr_db, self.seed, self.erasure, self.burst_tokens, self.options)

    def check(self, token_frames: int = 8) -> None:
        """Try the way with one token.

        Raises:
            AetherError: a rate, channel, modulation, option or number that will not do.
        """
        checked_bit_rate(self.rate)
        if self.channel != BSC and self.channel not in CHANNELS:
            raise AetherError(f"unknown channel {self.channel!r}; known: {BSC}, {', '.join(CHANNELS)}")
        if self.modulation not in get_args(Modulation):
            known = " or ".join(get_args(Modulation))
            raise AetherError(f"modulation must be {known}, not {self.modulation!r}")
        if self.snr_db is not None:
            if self.channel == BSC:
                raise AetherError(f"channel {BSC} has no SNR; give its bit error rate")
            checked_number("SNR [dB]", self.snr_db, *SNR_RANGE_DB)
        self.send(Bits(torch.ones(1, 1, elements_per_token(self.rate, token_frames)), self.rate, token_frames))

    def send(self, bits: Bits) -> Crossed:
        """What arrives, and what went over the air."""
        if self.channel == BSC:
            return Crossed(self._turned(bits))
        symbols = modulated(bits, self.modulation)
        received = self.carrier.send(symbols)
        return Crossed(decided(bits, received, self.modulation), (symbols, received))

    def describe(self) -> str:
        """The way in a few words, for titles."""
        if self.channel == BSC:
            return f"{self.rate} bit/s, {BSC}, bit error rate {self.error_rate:g}"
        return f"{self.rate} bit/s, {self.modulation.upper()} at {self.carrier.describe()}"

    def _turned(self, bits: Bits) -> ReceivedBits:
        """Bits over the binary symmetric channel, then losses."""
        if self.error_rate is None:
            raise AetherError(f"channel {BSC} needs a bit error rate, {ERROR_RATE_RANGE[0]:g}..{ERROR_RATE_RANGE[1]:g}")
        known = [name for name in inspect.signature(bsc).parameters if name not in ("bits", "error_rate")]
        unknown = [name for name in self.options if name not in known]
        if unknown:
            raise AetherError(f"channel {BSC} has no option {unknown[0]!r}; it has {', '.join(known)}")
        received = bsc(bits, self.error_rate, seed=self.seed, **self.options)  # type: ignore[arg-type]
        losses = self.losses()
        return received if losses is None else lose_tokens(received, *losses, seed=self.seed)
