"""Link simulation: speech or features through a codec's encoder, a channel and the decoder, with its measures."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from numpy.typing import ArrayLike
from torch import Tensor

from aether_lite.codec import Codec
from aether_lite.errors import AetherError
from aether_lite.features.layout import FRAME
from aether_lite.jscc import papr_db
from aether_lite.link.config import ChannelSymbols, LinkConfig, snr_3k_db
from aether_lite.metrics import FEATURE_METRICS
from aether_lite.payload import Bits, Received, ReceivedBits, Symbols

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
    def of_speech(cls, codec: Codec, speech: ArrayLike | Tensor) -> LinkInput:
        """Features of conditioned speech ``[N]`` at 16 kHz; F = floor(N / 160), at least 1."""
        start = time.perf_counter()
        given = torch.as_tensor(speech)
        rows, samples = codec.features(given)[0], codec.samples(given)[0, : len(given)]
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
        return {name: float(metric(self.decoded, self.features, None)) for name, metric in FEATURE_METRICS.items()}

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
                "bits": self.sent.values.numel(),
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
            "channel_uses": symbols.values[0].numel(),
            "rate_uses_per_s": rate,
            "snr_db": snr_db,
            "snr_3k_db": None if snr_db is None else snr_3k_db(snr_db, rate),
            "symbol_power": float(symbols.values.abs().square().mean()),
            "papr_db": papr_db(symbols.values),
        }


def run_link(
    codec: Codec,
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
    begin = progress or (lambda step: None)
    if codec.unit != config.unit:
        raise AetherError(f"a codec of {codec.unit} cannot use a link of {config.unit} ({config.describe()})")
    if isinstance(source, LinkInput):
        given = source
    else:
        rows = torch.as_tensor(source)
        given = LinkInput.of_speech(codec, rows) if rows.ndim == 1 else LinkInput(rows, len(rows))
    begin("encoding")
    start = time.perf_counter()
    speech = None if given.speech is None or codec.unit == Bits.unit else given.speech[None]
    sent = codec.encode_features(given.features[None], config.rate, config.target_snr_db, refine, speech)
    encode_s = given.extraction_s + time.perf_counter() - start
    begin(f"channel {config.channel}")
    received, symbols = config.carry(sent)
    begin("decoding")
    start = time.perf_counter()
    decoded = codec.decode_features(received)[0]
    decode_s = time.perf_counter() - start
    features = given.features[: given.frames, : decoded.shape[1]]
    return LinkResult(config, sent, received, symbols, features, decoded, encode_s, decode_s)
