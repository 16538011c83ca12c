"""One transmission and its measures: features through the codec and a channel, compared with what was sent."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from aether_lite.channels import Received, Symbols, apply_channel, erase, uses_per_token
from aether_lite.channels.parameters import SNR_RANGE_DB, checked_number
from aether_lite.codec import Codec
from aether_lite.errors import AetherError
from aether_lite.evaluation.metrics import FEATURE_METRICS
from aether_lite.features.layout import FRAME
from aether_lite.jscc import RATES, papr_db

FRAMES_PER_SECOND = 100
NOISE_BANDWIDTH_HZ = 3000.0  # of SNR3k
DEFAULT_ERASURE = 0.1  # share of tokens that the channel `erasure` loses

Progress = Callable[[str], None]
"""Told the name of each step as it begins."""


def snr_3k_db(snr_db: float, rate: int) -> float:
    """SNR in 3 kHz of noise bandwidth [dB] of Es/N0 ``snr_db`` [dB] at ``rate`` uses/s."""
    return snr_db + 10 * math.log10(rate / NOISE_BANDWIDTH_HZ)


@dataclass(frozen=True)
class Link:
    """A way from transmitter to receiver.

    Attributes:
        channel: a name in :data:`aether_lite.channels.CHANNELS`.
        rate: payload channel uses per second.
        snr_db: Es/N0 [dB]; None for ``clean``, and for ``erasure`` without noise.
        seed: of noise, fading and losses.
        target_snr_db: Es/N0 told to the encoder [dB]; None encodes for any channel.
        erasure: share of tokens lost, on top of any channel; None loses none (``erasure``: a tenth).
        burst_tokens: mean length of a burst of losses [tokens]; None for independent losses.
        options: further options of the channel, such as ``state``, ``block_ms``, ``doppler_hz`` and ``k_db``.
    """

    channel: str = "awgn"
    rate: int = 1000
    snr_db: float | None = None
    seed: int = 0
    target_snr_db: float | None = None
    erasure: float | None = None
    burst_tokens: float | None = None
    options: dict[str, object] = field(default_factory=dict)

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
        values = torch.ones(1, 1, int(uses_per_token(self.rate, token_frames)), dtype=torch.complex64)
        self.send(Symbols(values, self.rate, token_frames))

    def send(self, symbols: Symbols) -> Received:
        """What arrives."""
        losses = self._losses()
        given = {**self.options, "seed": self.seed}
        if self.channel == "erasure":
            return apply_channel("erasure", symbols, self.snr_db, **losses, **given)
        received = apply_channel(self.channel, symbols, self.snr_db, **given)
        if losses:
            received = erase(received, **losses, seed=self.seed)  # type: ignore[arg-type]
        return received

    def describe(self) -> str:
        """The link in a few words, for titles."""
        noise = "no noise" if self.snr_db is None else f"Es/N0 {self.snr_db:g} dB"
        return f"{self.rate} uses/s, {self.channel}, {noise}"

    def _losses(self) -> dict[str, float | None]:
        """Options of the erasures; empty for none."""
        if self.erasure is None and self.channel != "erasure":
            if self.burst_tokens is not None:
                raise AetherError("a burst length needs a share of lost tokens: give the erasure probability too")
            return {}
        share = DEFAULT_ERASURE if self.erasure is None else self.erasure
        return {"probability": share, "burst_tokens": self.burst_tokens}


@dataclass(frozen=True)
class Delivery:
    """What went through a link.

    Attributes:
        link: the way it took.
        sent: features of the input ``[F, 20]``, without the padding to whole tokens.
        decoded: features ``[K * token_frames, 20]`` of all tokens that arrived.
        symbols: what was sent, K tokens.
        received: what arrived.
        encode_s, decode_s: computing time [s]; the extraction of features counts as encoding.
    """

    link: Link
    sent: Tensor
    decoded: Tensor
    symbols: Symbols
    received: Received
    encode_s: float
    decode_s: float

    @property
    def heard(self) -> Tensor:
        """Decoded features ``[F, 20]`` of the input's frames."""
        return self.decoded[: len(self.sent)]

    def metrics(self) -> dict[str, float]:
        """Every feature metric, decoded against sent."""
        return {name: float(metric(self.heard, self.sent, None)) for name, metric in FEATURE_METRICS.items()}

    def air(self) -> dict[str, Any]:
        """What crossed the air: counts, power and SNR by both conventions."""
        values, snr = self.symbols.values, self.link.snr_db
        return {
            "tokens": values.shape[1],
            "channel_uses": values.shape[1] * values.shape[2],
            "rate_uses_per_s": self.link.rate,
            "snr_db": snr,
            "snr_3k_db": None if snr is None else snr_3k_db(snr, self.link.rate),
            "symbol_power": float(values.abs().square().mean()),
            "papr_db": papr_db(values),
            "erased_tokens": int(self.received.state.erased.sum()),
        }


def input_features(codec: Codec, speech: Any) -> tuple[Tensor, int]:
    """Features of whole tokens ``[F', 20]`` of speech ``[N]``, and the number F of them that are the input's.

    F = floor(N / 160), at least 1; the rest is the silence that fills the last token.
    """
    rows = codec.features(speech)[0]
    return rows, max(1, len(speech) // FRAME)


def deliver(
    codec: Codec,
    features: Tensor,
    link: Link,
    frames: int | None = None,
    extraction_s: float = 0.0,
    progress: Progress | None = None,
) -> Delivery:
    """Send features over a link and decode them.

    Args:
        codec: at both ends.
        features: ``[F', 20 or more]``; a last part token is filled up.
        link: the channel and its options.
        frames: how many of them are the input's (the rest is padding); None for all.
        extraction_s: computing time of the features [s], counted as encoding.
        progress: told of each step.

    Raises:
        AetherError: an option of the link is out of range.
    """
    tell = progress or (lambda step: None)
    tell("encoding")
    start = time.perf_counter()
    symbols = codec.encode_features(features[None], link.rate, link.target_snr_db)
    encode_s = extraction_s + time.perf_counter() - start
    tell(f"channel {link.channel}")
    received = link.send(symbols)
    tell("decoding")
    start = time.perf_counter()
    decoded = codec.decode_features(received)[0]
    decode_s = time.perf_counter() - start
    sent = features[: len(features) if frames is None else frames, : decoded.shape[1]]
    return Delivery(link, sent, decoded, symbols, received, encode_s, decode_s)
