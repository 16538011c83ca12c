"""Link simulation: speech or features through a codec's encoder, a channel and the decoder, with its measures."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeAlias, get_args

import numpy as np
from numpy.typing import ArrayLike

from aether_lite.channels import BIT_CHANNELS, CHANNELS, apply_channel, erase
from aether_lite.channels.binary import BSC, ERROR_RATE_RANGE, Modulation, bsc, decided, modulated
from aether_lite.channels.channel import SNR_RANGE_DB, checked_number
from aether_lite.codec.base import check_codec
from aether_lite.errors import AetherError, check_kind
from aether_lite.features.layout import FRAME, NUM_FREE
from aether_lite.features.samples import numbers, own_precision, speech_array
from aether_lite.payload import (
    BIT_RATES,
    RATES,
    Bits,
    Received,
    ReceivedBits,
    Symbols,
    checked_rate,
    elements_per_token,
    papr_db,
)

if TYPE_CHECKING:
    from torch import Tensor

    from aether_lite.codec import Codec
    from aether_lite.core.codec import CoreCodec

AnyCodec: TypeAlias = "Codec | CoreCodec"
"""Over tensors, or over arrays; what a link gives is of the codec's kind."""

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
        check_kind("options", self.options, dict, "a dict of the channel's options")
        checked_rate(self.rate, BIT_RATES if of_bits else RATES, self.unit)
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
        ones: Any = np.ones((1, 1, elements_per_token(self.rate, token_frames)), np.float32)
        if of_bits:
            self.carry(Bits(ones, self.rate, token_frames))
        else:
            self.send(Symbols(ones.astype(np.complex64), self.rate, token_frames))

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
            if self.burst_tokens is not None:
                raise AetherError("a burst length needs a share of lost tokens: give the erasure probability too")
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


Progress = Callable[[str], None]
"""Called with the name of each step as it begins."""

NO_SYMBOLS = dict.fromkeys(("channel_uses", "rate_uses_per_s", "snr_db", "snr_3k_db", "symbol_power", "papr_db"))


@dataclass(frozen=True)
class LinkInput:
    """Features to send.

    Attributes:
        features: ``[F', 20 or more] float32``; for speech of whole tokens, the last filled up with silence.
        frames: F, how many of them are the input's.
        speech: ``[N] float32`` in [-1, 1] that they are of, for refinement; None where it is not known.
        extraction_s: computing time of the features [s].
    """

    features: Tensor
    frames: int
    speech: Tensor | None = None
    extraction_s: float = 0.0

    @classmethod
    def of_speech(cls, codec: AnyCodec, speech: ArrayLike | Tensor) -> LinkInput:
        """Features of conditioned speech ``[N]`` at 16 kHz; F = floor(N / 160), at least 1."""
        start = time.perf_counter()
        given = speech_array(speech, "speech")
        rows: Any = codec.features(given)[0]
        samples: Any = codec.samples(given)[0, : len(given)]
        return cls(rows, max(1, len(samples) // FRAME), samples, time.perf_counter() - start)


@dataclass(frozen=True)
class LinkResult:
    """One transmission over a link.

    Attributes:
        config: the link.
        sent, received: the payload on both sides of the channel, ``[1, K, n]``.
        symbols: into and out of the channel, the payload's own or those that carried its bits; None over ``bsc``.
        features: of the input ``[F, 20]``.
        decoded_tokens: decoded features ``[K * token_frames, 20]`` of all tokens.
        encode_s, decode_s: computing time [s]; the extraction of features counts as encoding.
    """

    config: LinkConfig
    sent: Symbols | Bits
    received: Received | ReceivedBits
    symbols: ChannelSymbols | None
    features: Tensor
    decoded_tokens: Tensor
    encode_s: float
    decode_s: float

    @property
    def decoded(self) -> Tensor:
        """Decoded features ``[F, 20]`` of the input's frames."""
        return self.decoded_tokens[: len(self.features)]

    def bit_errors(self) -> tuple[int, int]:
        """Hard decisions that are wrong, and how many were made: all bits of the tokens that were not lost."""
        arrived = ~self.received.erased
        wrong = (self.received.values * self.sent.values <= 0) & arrived[:, :, None]
        return int(wrong.sum()), int(arrived.sum()) * self.sent.values.shape[2]

    def feature_metrics(self) -> dict[str, float]:
        """Every feature metric, decoded against sent."""
        from aether_lite.metrics.features import FEATURE_METRICS

        return {n: float(metric.function(self.decoded, self.features, None)) for n, metric in FEATURE_METRICS.items()}

    def link_metrics(self) -> dict[str, Any]:
        """What crossed the channel: counts, bit errors, power and peak of the symbols, SNR by both conventions."""
        numbers: dict[str, Any] = {
            "tokens": self.sent.values.shape[1],
            "erased_tokens": int(self.received.erased.sum()),
            **(NO_SYMBOLS if self.symbols is None else self._symbol_numbers(self.symbols[0])),
        }
        if isinstance(self.sent, Bits):
            wrong, decided = self.bit_errors()
            numbers |= {
                "bits": math.prod(self.sent.values.shape),
                "rate_bits_per_s": self.config.rate,
                "error_rate": self.config.error_rate,
                "bits_decided": decided,
                "bit_errors": wrong,
                "bit_error_rate": wrong / decided if decided else None,
                "modulation": self.config.modulation,
            }
        return numbers

    def _symbol_numbers(self, symbols: Symbols) -> dict[str, Any]:
        rate, snr_db = int(symbols.rate), self.config.snr_db
        return {
            "channel_uses": math.prod(symbols.values.shape[1:]),
            "rate_uses_per_s": rate,
            "snr_db": snr_db,
            "snr_3k_db": None if snr_db is None else snr_3k_db(snr_db, rate),
            "symbol_power": float((abs(symbols.values) ** 2).mean()),
            "papr_db": papr_db(symbols.values),
        }


@own_precision
def run_link(
    codec: AnyCodec,
    source: LinkInput | ArrayLike | Tensor,
    config: LinkConfig,
    *,
    refine: int = 0,
    progress: Progress | None = None,
) -> LinkResult:
    """Send speech or features over a link and decode them.

    Args:
        codec: at both ends; its payload is the link's.
        source: speech ``[N]`` in [-1, 1] at 16 kHz, features ``[F, 20 or more]`` (a last part token is filled up), or
            a :class:`LinkInput`.
        config: the channel and its options.
        refine: steps of refinement at the encoder (:mod:`aether_lite.codec.refinement`); 0 for none. For symbols it
            needs ``config.target_snr_db``.
        progress: called as each step begins.

    Raises:
        AetherError: a codec of the other payload, or an option of the link is out of range.
    """
    check_codec(codec)
    check_kind("config", config, LinkConfig, "a LinkConfig")
    begin = progress or (lambda step: None)
    if codec.unit != config.unit:
        raise AetherError(f"a codec of {codec.unit} cannot use a link of {config.unit} ({config.describe()})")
    if isinstance(source, LinkInput):
        given = source
    else:
        rows: Any = source if hasattr(source, "detach") else numbers(source, "speech")
        spoken = rows.ndim != 2 or rows.shape[1] < NUM_FREE
        features: Any = None if spoken else codec.rows(rows)
        given = LinkInput.of_speech(codec, rows) if spoken else LinkInput(features, len(rows))
    begin("encoding")
    start = time.perf_counter()
    speech = None if given.speech is None or codec.unit == Bits.unit else given.speech[None]
    coder: Any = codec
    sent = coder.encode_features(given.features[None], config.rate, config.target_snr_db, refine, speech)
    encode_s = given.extraction_s + time.perf_counter() - start
    begin(f"channel {config.channel}")
    received, symbols = config.carry(sent)
    begin("decoding")
    start = time.perf_counter()
    decoded = coder.decode_features(received)[0]
    decode_s = time.perf_counter() - start
    features = given.features[: given.frames, : decoded.shape[1]]
    return LinkResult(config, sent, received, symbols, features, decoded, encode_s, decode_s)
