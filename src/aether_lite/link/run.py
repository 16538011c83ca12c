"""One transmission and its measures: features through a codec and a channel, compared with what was sent."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from torch import Tensor

from aether_lite.channels import Received, Symbols
from aether_lite.codec import Codec, HashCodec
from aether_lite.codec.chain import SpeechChain
from aether_lite.features.layout import FRAME
from aether_lite.jscc import papr_db
from aether_lite.link.bit_config import BitLink, Crossed
from aether_lite.link.config import Link, Way, snr_3k_db
from aether_lite.metrics import FEATURE_METRICS
from aether_lite.payload import Bits

Progress = Callable[[str], None]
"""Told the name of each step as it begins."""
Sent = TypeVar("Sent")
Arrived = TypeVar("Arrived")


@dataclass(frozen=True)
class Passage:
    """Features on both sides of a channel, whatever it carries.

    Attributes:
        sent: features of the input ``[F, 20]``, without the padding to whole tokens.
        decoded: features ``[K * token_frames, 20]`` of all tokens that arrived.
        encode_s, decode_s: computing time [s]; the extraction of features counts as encoding.
    """

    sent: Tensor
    decoded: Tensor
    encode_s: float
    decode_s: float


@dataclass(frozen=True)
class Delivery(ABC):
    """A transmission.

    Attributes:
        passage: the features.
        link: how they went.
    """

    passage: Passage
    link: Way

    @property
    def sent(self) -> Tensor:
        """Features of the input ``[F, 20]``."""
        return self.passage.sent

    @property
    def heard(self) -> Tensor:
        """Decoded features ``[F, 20]`` of the input's frames."""
        return self.passage.decoded[: len(self.sent)]

    @property
    @abstractmethod
    def on_air(self) -> tuple[Symbols, Received] | None:
        """Symbols that were sent and what arrived of them; None where the channel takes none."""

    def metrics(self) -> dict[str, float]:
        """Every feature metric, decoded against sent."""
        return {name: float(metric(self.heard, self.sent, None)) for name, metric in FEATURE_METRICS.items()}

    @abstractmethod
    def air(self) -> dict[str, Any]:
        """What crossed the channel, in numbers."""


@dataclass(frozen=True)
class SymbolDelivery(Delivery):
    """Features that went as symbols.

    Attributes:
        link: how they went.
        symbols: what was sent, K tokens.
        received: what arrived.
    """

    link: Link
    symbols: Symbols
    received: Received

    @property
    def on_air(self) -> tuple[Symbols, Received]:
        """Symbols that were sent and what arrived of them."""
        return self.symbols, self.received

    def air(self) -> dict[str, Any]:
        """What crossed the air: counts, power and SNR by both conventions."""
        return {
            "tokens": self.symbols.values.shape[1],
            **air_numbers(self.symbols, self.link.snr_db, self.link.rate),
            "erased_tokens": int(self.received.state.erased.sum()),
        }


@dataclass(frozen=True)
class BitDelivery(Delivery):
    """Features that went as bits.

    Attributes:
        link: how they went.
        bits: what was sent, K tokens.
        crossed: what arrived.
    """

    link: BitLink
    bits: Bits
    crossed: Crossed

    @property
    def on_air(self) -> tuple[Symbols, Received] | None:
        """Symbols that were sent and what arrived of them; None where the channel takes bits."""
        return self.crossed.on_air

    def air(self) -> dict[str, Any]:
        """What crossed the channel: bits and errors of hard decisions in tokens that were not lost, then the air."""
        errors, decided = self.bit_errors()
        symbols = None if self.on_air is None else self.on_air[0]
        return {
            "tokens": self.bits.values.shape[1],
            "bits": self.bits.values.numel(),
            "rate_bits_per_s": self.link.rate,
            "error_rate": self.link.error_rate,
            "bits_decided": decided,
            "bit_errors": errors,
            "bit_error_rate": errors / decided if decided else None,
            "erased_tokens": int(self.crossed.arrived.erased.sum()),
            "modulation": None if symbols is None else self.link.modulation,
            **(NO_AIR if symbols is None else air_numbers(symbols, self.link.snr_db, int(symbols.rate))),
        }

    def bit_errors(self) -> tuple[int, int]:
        """Hard decisions that are wrong, and how many were made: all bits of the tokens that were not lost."""
        arrived = self.crossed.arrived
        wrong = (arrived.values * self.bits.values <= 0) & ~arrived.erased[:, :, None]
        return int(wrong.sum()), int((~arrived.erased).sum()) * self.bits.values.shape[2]


NO_AIR = dict.fromkeys(("channel_uses", "rate_uses_per_s", "snr_db", "snr_3k_db", "symbol_power", "papr_db"))
"""Numbers of the air where the channel takes bits."""


def air_numbers(symbols: Symbols, snr_db: float | None, rate: int) -> dict[str, Any]:
    """Uses, SNR by both conventions, power and peak of symbols ``[1, K, n]`` at ``rate`` uses/s."""
    values = symbols.values
    return {
        "channel_uses": values.shape[1] * values.shape[2],
        "rate_uses_per_s": rate,
        "snr_db": snr_db,
        "snr_3k_db": None if snr_db is None else snr_3k_db(snr_db, rate),
        "symbol_power": float(values.abs().square().mean()),
        "papr_db": papr_db(values),
    }


def input_features(codec: SpeechChain, speech: Any) -> tuple[Tensor, int]:
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
    search: int = 0,
    speech: Tensor | None = None,
) -> SymbolDelivery:
    """Send features over a link and decode them.

    Args:
        codec: at both ends.
        features: ``[F', 20 or more]``; a last part token is filled up.
        link: the channel and its options.
        frames: how many of them are the input's (the rest is padding); None for all.
        extraction_s: computing time of the features [s], counted as encoding.
        progress: told of each step.
        search: steps of a search for what is sent; for symbols the link's target SNR says what for.
        speech: ``[N] float32`` in [-1, 1] that the features are of, which makes a search better; None if not known.

    Raises:
        AetherError: an option of the link is out of range.
    """
    symbols, received, passage = _pass(
        features[:frames],
        lambda: codec.encode_features(
            features[None], link.rate, link.target_snr_db, search, None if speech is None else speech[None]
        ),
        link.send,
        codec.decode_features,
        extraction_s,
        (progress, link.channel),
    )
    return SymbolDelivery(passage, link, symbols, received)


def deliver_bits(
    codec: HashCodec,
    features: Tensor,
    link: BitLink,
    frames: int | None = None,
    extraction_s: float = 0.0,
    progress: Progress | None = None,
    search: int = 0,
) -> BitDelivery:
    """Send features as bits; arguments and errors as :func:`deliver`."""
    bits, crossed, passage = _pass(
        features[:frames],
        lambda: codec.encode_features(features[None], link.rate, search),
        link.send,
        lambda crossed: codec.decode_features(crossed.arrived),
        extraction_s,
        (progress, link.channel),
    )
    return BitDelivery(passage, link, bits, crossed)


def _pass(
    sent: Tensor,
    encode: Callable[[], Sent],
    channel: Callable[[Sent], Arrived],
    decode: Callable[[Arrived], Tensor],
    extraction_s: float,
    told: tuple[Progress | None, str],
) -> tuple[Sent, Arrived, Passage]:
    """Encode, send and decode: what was sent, what arrived, and the features with the computing times."""
    tell = told[0] or (lambda step: None)
    tell("encoding")
    start = time.perf_counter()
    given = encode()
    encode_s = extraction_s + time.perf_counter() - start
    tell(f"channel {told[1]}")
    arrived = channel(given)
    tell("decoding")
    start = time.perf_counter()
    decoded = decode(arrived)[0]
    decode_s = time.perf_counter() - start
    return given, arrived, Passage(sent[:, : decoded.shape[1]], decoded, encode_s, decode_s)
