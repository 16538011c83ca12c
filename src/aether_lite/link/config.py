"""Ways from transmitter to receiver: what a channel is given beside what it carries."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, field

import torch

from aether_lite.channels import apply_channel, erase
from aether_lite.channels.erasure import check_losses
from aether_lite.channels.parameters import SNR_RANGE_DB, checked_number
from aether_lite.errors import AetherError
from aether_lite.jscc import RATES
from aether_lite.payload import Received, Symbols, elements_per_token

NOISE_BANDWIDTH_HZ = 3000.0  # of SNR3k
DEFAULT_ERASURE = 0.1  # share of tokens that the channel `erasure` loses


def snr_3k_db(snr_db: float, rate: int) -> float:
    """SNR in 3 kHz of noise bandwidth [dB] of Es/N0 ``snr_db`` [dB] at ``rate`` uses/s."""
    return snr_db + 10 * math.log10(rate / NOISE_BANDWIDTH_HZ)


@dataclass(frozen=True)
class Way(ABC):
    """What every way from transmitter to receiver has.

    Attributes:
        channel: its name.
        rate: what the encoder is asked for, each second.
        snr_db: Es/N0 [dB]; None without noise.
        seed: of noise, fading and losses.
        erasure: share of tokens lost, on top of any channel; None loses none (``erasure``: a tenth).
        burst_tokens: mean length of a burst of losses [tokens]; None for independent losses.
        options: further options of the channel, such as ``state``, ``block_ms``, ``doppler_hz`` and ``k_db``.
    """

    channel: str = "awgn"
    rate: int = 1000
    snr_db: float | None = None
    seed: int = 0
    erasure: float | None = None
    burst_tokens: float | None = None
    options: dict[str, object] = field(default_factory=dict)

    @abstractmethod
    def describe(self) -> str:
        """The way in a few words, for titles."""

    def noise(self) -> str:
        """Its noise in words."""
        return "no noise" if self.snr_db is None else f"Es/N0 {self.snr_db:g} dB"

    def losses(self) -> tuple[float, float | None] | None:
        """Share of tokens lost and mean length of a burst [tokens]; None for no losses.

        Raises:
            AetherError: a burst length without losses.
        """
        if self.erasure is None and self.channel != "erasure":
            check_losses(self.erasure, self.burst_tokens)
            return None
        return DEFAULT_ERASURE if self.erasure is None else self.erasure, self.burst_tokens


@dataclass(frozen=True)
class Link(Way):
    """A way for symbols; ``channel`` is a name in :data:`aether_lite.channels.CHANNELS`, ``rate`` payload uses/s.

    Attributes:
        target_snr_db: Es/N0 told to the encoder [dB]; None encodes for any channel.
    """

    target_snr_db: float | None = None

    def check(self, token_frames: int = 8) -> None:
        """Try the link with one token.

        Raises:
            AetherError: a rate, channel, option or number that will not do.
        """
        if self.rate not in RATES:
            raise AetherError(f"rate {self.rate} uses/s is not one of {', '.join(map(str, RATES))}")
        for name, value in (("SNR", self.snr_db), ("target SNR", self.target_snr_db)):
            if value is not None:
                checked_number(f"{name} [dB]", value, *SNR_RANGE_DB)
        values = torch.ones(1, 1, elements_per_token(self.rate, token_frames), dtype=torch.complex64)
        self.send(Symbols(values, self.rate, token_frames))

    def send(self, symbols: Symbols) -> Received:
        """What arrives."""
        losses = self.losses()
        given = {**self.options, "seed": self.seed}
        if self.channel == "erasure" and losses is not None:
            share, burst = losses
            return apply_channel("erasure", symbols, self.snr_db, probability=share, burst_tokens=burst, **given)
        received = apply_channel(self.channel, symbols, self.snr_db, **given)
        return received if losses is None else erase(received, *losses, seed=self.seed)

    def describe(self) -> str:
        """The link in a few words, for titles."""
        return f"{self.rate} uses/s, {self.channel}, {self.noise()}"
