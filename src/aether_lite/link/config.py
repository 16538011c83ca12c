"""Link configuration: the channel between encoder and decoder, its rate, noise, losses and modulation."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Any, get_args

import torch

from aether_lite.channels import BIT_CHANNELS, CHANNELS, apply_channel, erase
from aether_lite.channels.binary import BSC, ERROR_RATE_RANGE, bsc
from aether_lite.channels.erasure import check_losses
from aether_lite.channels.keying import Modulation, decided, modulated
from aether_lite.channels.parameters import SNR_RANGE_DB, checked_number
from aether_lite.errors import AetherError
from aether_lite.hash import BIT_RATES
from aether_lite.jscc import RATES
from aether_lite.payload import Bits, Received, ReceivedBits, Symbols, elements_per_token

NOISE_BANDWIDTH_HZ = 3000.0  # of SNR3k
DEFAULT_ERASURE = 0.1  # share of tokens that the channel `erasure` loses

ChannelSymbols = tuple[Symbols, Received]
"""Symbols into a channel, and what was received of them."""


def snr_3k_db(snr_db: float, rate: int) -> float:
    """SNR in a noise bandwidth of 3 kHz [dB] of Es/N0 ``snr_db`` [dB] at ``rate`` uses/s."""
    return snr_db + 10 * math.log10(rate / NOISE_BANDWIDTH_HZ)


@dataclass(frozen=True)
class LinkConfig:
    """One link for symbols, or for bits: over the binary symmetric channel, or modulated onto a channel of symbols.

    Attributes:
        channel: a name in :data:`aether_lite.channels.CHANNELS`, or ``bsc``.
        rate: of the payload [uses/s], or [bit/s] where it is bits.
        snr_db: Es/N0 [dB]; None for no noise.
        seed: of noise, fading and losses.
        erasure: share of tokens lost on top of any channel; None for none (channel ``erasure``: 0.1).
        burst_tokens: mean length of a burst of losses [tokens]; None for independent losses.
        options: further options of the channel, such as ``csi``, ``block_ms``, ``doppler_hz`` and ``k_db``.
        target_snr_db: Es/N0 [dB] that an encoder of symbols designs for; None for any channel.
        error_rate: share of bits that ``bsc`` flips, 0..0.5.
        modulation: ``bpsk`` or ``qpsk`` carries bits over a channel of symbols; None for a payload of symbols.
    """

    channel: str = "awgn"
    rate: int = 1000
    snr_db: float | None = None
    seed: int = 0
    erasure: float | None = None
    burst_tokens: float | None = None
    options: dict[str, object] = field(default_factory=dict)
    target_snr_db: float | None = None
    error_rate: float | None = None
    modulation: Modulation | None = None

    @property
    def unit(self) -> str:
        """Unit of the rate: ``bit/s`` where the payload is bits, else ``uses/s``."""
        return "bit/s" if self.channel == BSC or self.modulation is not None else "uses/s"

    def check(self, token_frames: int = 8) -> None:
        """Send one token of ``token_frames`` frames, to meet every error before the work.

        Raises:
            AetherError: an unknown rate, channel, modulation or option, or a number out of range.
        """
        of_bits = self.unit == "bit/s"
        rates = BIT_RATES if of_bits else RATES
        if self.rate not in rates:
            raise AetherError(f"rate {self.rate} {self.unit} is not one of {', '.join(map(str, rates))}")
        if self.channel not in (BSC, *CHANNELS):
            known = (BSC, *CHANNELS) if of_bits else CHANNELS
            raise AetherError(f"unknown channel {self.channel!r}; known: {', '.join(known)}")
        if self.modulation not in (None, *get_args(Modulation)):
            raise AetherError(f"modulation must be {' or '.join(get_args(Modulation))}, not {self.modulation!r}")
        if self.channel == BSC and self.snr_db is not None:
            raise AetherError(f"channel {BSC} has no SNR; give its bit error rate")
        if self.channel != BSC and self.error_rate is not None:
            raise AetherError(f"a bit error rate is of the channel {BSC}; {self.channel} makes its own errors")
        for name, value in (("SNR", self.snr_db), ("target SNR", self.target_snr_db)):
            if value is not None:
                checked_number(f"{name} [dB]", value, *SNR_RANGE_DB)
        ones = torch.ones(1, 1, elements_per_token(self.rate, token_frames))
        if of_bits:
            self.carry(Bits(ones, self.rate, token_frames))
        else:
            self.send(Symbols(ones.to(torch.complex64), self.rate, token_frames))

    def carry(self, payload: Symbols | Bits) -> tuple[Received | ReceivedBits, ChannelSymbols | None]:
        """What the decoder receives of a payload, and the symbols that carried it; None of these over ``bsc``.

        Raises:
            AetherError: bits without a modulation on a channel of symbols, or an option out of range.
        """
        if isinstance(payload, Symbols):
            received = self.send(payload)
            return received, (payload, received)
        if self.channel == BSC:
            return self._flipped(payload), None
        if self.modulation is None:
            raise AetherError(f"bits over {self.channel} need a modulation: {' or '.join(get_args(Modulation))}")
        symbols = modulated(payload, self.modulation)
        received = self.send(symbols)
        return decided(payload, received, self.modulation), (symbols, received)

    def send(self, symbols: Symbols) -> Received:
        """What is received of symbols ``[B, K, n]``, of any rate."""
        losses = self.losses
        plain = self.without_losses()
        received = apply_channel(plain.channel, symbols, self.snr_db, **self.options, seed=self.seed)
        return received if losses is None else erase(received, *losses, seed=self.seed)

    def without_losses(self) -> LinkConfig:
        """The link where no token is lost."""
        channel = self.channel
        if channel == "erasure":
            channel = "clean" if self.snr_db is None else "awgn"
        return replace(self, channel=channel, erasure=None, burst_tokens=None)

    @property
    def losses(self) -> tuple[float, float | None] | None:
        """Share of tokens lost and mean length of a burst [tokens]; None for no losses.

        Raises:
            AetherError: a burst length without losses.
        """
        if self.erasure is None and self.channel != "erasure":
            check_losses(self.erasure, self.burst_tokens)
            return None
        return DEFAULT_ERASURE if self.erasure is None else self.erasure, self.burst_tokens

    def describe(self) -> str:
        """The link in a few words, for titles."""
        if self.channel == BSC:
            return f"{self.rate} bit/s, {BSC}, bit error rate {self.error_rate:g}"
        noise = "no noise" if self.snr_db is None else f"Es/N0 {self.snr_db:g} dB"
        keying = "" if self.modulation is None else f"{self.modulation.upper()} over "
        return f"{self.rate} {self.unit}, {keying}{self.channel}, {noise}"

    def _flipped(self, bits: Bits) -> ReceivedBits:
        """Bits over the binary symmetric channel, then losses."""
        if self.error_rate is None:
            raise AetherError(f"channel {BSC} needs a bit error rate, {ERROR_RATE_RANGE[0]:g}..{ERROR_RATE_RANGE[1]:g}")
        BIT_CHANNELS[BSC].check(self.options)
        options: dict[str, Any] = self.options
        received = bsc(bits, self.error_rate, seed=self.seed, **options)
        losses = self.losses
        return received if losses is None else erase(received, *losses, seed=self.seed)
