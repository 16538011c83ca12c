"""What codecs have in common, whatever computes their networks: rates, tokens, latency, speech in whole tokens.

Algorithmic latency is the sum of its parts: the newest input sample that an output sample depends on, minus that output
sample's own position, at its greatest over the output. Time to send the symbols and to compute comes on top.
"""

from __future__ import annotations

from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from types import NoneType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from aether_lite.channels.channel import SNR_RANGE_DB, checked_number
from aether_lite.codec.config import CodecConfig
from aether_lite.core.files import vocoder_file
from aether_lite.errors import AetherError, check_kind
from aether_lite.features.analysis import condition as conditioned
from aether_lite.features.layout import FRAME, SAMPLE_RATE
from aether_lite.features.pitch import ROW_LOOKAHEAD_SAMPLES
from aether_lite.features.samples import as_speech
from aether_lite.payload import (
    BIT_RATES,
    DEFAULT_BIT_RATE,
    DEFAULT_RATE,
    RATES,
    Bits,
    Payload,
    Received,
    ReceivedBits,
    Symbols,
    checked_rate,
)

if TYPE_CHECKING:
    from torch import Tensor

WINDOW = 800  # frames that a refinement decides at a time; 8 s
AHEAD = 96  # frames that are refined with them and decided with the next


@dataclass(frozen=True)
class Latency:
    """Latency of the chain by part [samples at 16 kHz].

    Attributes:
        features: newest sample of a feature row beyond the row's centre (window and pitch tracker).
        token: the first row of a token waits for its last, and for the token behind where the decoder looks ahead.
        vocoder: from the oldest sample that a row completes to the row's centre.
    """

    features: int
    token: int
    vocoder: int

    @property
    def samples(self) -> int:
        """All parts together [samples]."""
        return self.features + self.token + self.vocoder

    @property
    def milliseconds(self) -> float:
        """All parts together [ms]."""
        return 1000 * self.samples / SAMPLE_RATE


def latency(token_frames: int, lookahead: int = 0, vocoder: str | Path | None = None) -> Latency:
    """Latency of a codec whose tokens cover ``token_frames`` frames and whose decoder waits for ``lookahead`` more.

    ``vocoder`` is a released name or a file, None for the default.
    """
    token = ((1 + lookahead) * token_frames - 1) * FRAME
    return Latency(ROW_LOOKAHEAD_SAMPLES, token, vocoder_file(vocoder).delay)


def check_codec(given: object) -> None:
    """Refuse what is no codec."""
    check_kind("codec", given, CodecBase, "a codec, such as of aether_lite.load()")


class CodecBase:
    """A codec of symbols or of bits, by its configuration.

    Args:
        config: of its networks.
        provenance: where its weights come from.
        vocoder: vocoder weights: a file (``.pth`` or ``.safetensors``) or a released name; None for ``fargan``.
        name: of the weights, for the representation.
    """

    sample_rate = SAMPLE_RATE
    """Of speech in and out [Hz]."""

    def __init__(
        self, config: CodecConfig, provenance: dict[str, Any] | None, vocoder: str | Path | None, name: str
    ) -> None:
        check_kind("vocoder", vocoder, (str, PathLike, NoneType), "a released name or the path of a file")
        self.config, self.provenance, self.name = config, provenance or {}, name
        self._vocoder_path = vocoder

    def __repr__(self) -> str:
        payload = "symbols" if self.unit == Symbols.unit else "bits"
        rates = f"{min(self.rates)}..{max(self.rates)} {self.unit}"
        return f"Codec {self.name or 'without a name'}: {payload}, {rates}, {self.latency.milliseconds:g} ms"

    @property
    def unit(self) -> str:
        """Unit of rates: ``uses/s`` of a codec of symbols, ``bit/s`` of a hash codec."""
        return Bits.unit if self.config.hash else Symbols.unit

    @property
    def rates(self) -> tuple[int, ...]:
        """Rates that it serves, in its :attr:`unit`."""
        return BIT_RATES if self.config.hash else RATES

    @property
    def default_rate(self) -> int:
        """Rate where none is asked for."""
        return DEFAULT_BIT_RATE if self.config.hash else DEFAULT_RATE

    @property
    def token_frames(self) -> int:
        """Frames of 10 ms in a token."""
        return self.config.token_frames

    @property
    def latency(self) -> Latency:
        """Algorithmic latency, speech to speech."""
        return latency(self.token_frames, self.config.lookahead, self._vocoder_path)

    def latency_ms(self, refine: int = 0) -> float:
        """Algorithmic latency [ms]; a refined token also waits for its window and what is seen behind, less itself."""
        return self.latency.milliseconds + (10 * (WINDOW + AHEAD - self.token_frames) if refine else 0)

    def checked_rate(self, rate: float | None) -> int:
        """``rate`` if the codec serves it, its default for None; else AetherError."""
        return self.default_rate if rate is None else checked_rate(rate, self.rates, self.unit)

    def checked_target(self, snr_db: float | None) -> float | None:
        """A target SNR [dB] that symbols can be designed for, None for any channel; else AetherError."""
        if snr_db is None:
            return None
        checked = checked_number("target_snr_db", snr_db, *SNR_RANGE_DB)
        self.check_targets()
        return checked

    def check_targets(self) -> None:
        """Refuse a codec that sends bits, or whose power was never measured for target SNRs."""
        raise NotImplementedError

    def check_received(self, received: object) -> None:
        """Refuse what is not received, or not for this codec."""
        check_received(received, self.unit == Bits.unit)

    def _whole(self, speech: ArrayLike | Tensor, condition: bool) -> NDArray[Any]:
        """Speech as ``[B, N']`` of whole tokens, conditioned or as it is."""
        array = as_speech(speech, "speech", batch=True)
        if array.size == 0:
            raise AetherError(f"speech must be [N] or [B, N] with N > 0 samples, not {array.shape}")
        missing = -array.shape[-1] % (self.token_frames * FRAME)
        clips = np.atleast_2d(array)
        if condition:
            clips = np.stack([conditioned(clip) for clip in clips])
        return np.pad(clips, ((0, 0), (0, missing)))


def check_received(received: object, of_bits: bool) -> None:
    """Refuse what is not received, or not for a codec of bits or of symbols."""
    expected = ReceivedBits if of_bits else Received
    if isinstance(received, expected):
        return
    advice = "give what a channel returned"
    if isinstance(received, Payload):
        bits = received.unit == Bits.unit
        advice = "send them over a channel first, such as channels.clean"
        if bits != of_bits:
            kinds = ("symbols", "a codec of symbols"), ("bits of a hash codec", "a hash codec")
            advice = f"these are {kinds[bits][0]}, and this is {kinds[not bits][1]}"
    raise AetherError(f"this codec decodes {expected.__name__}, not {type(received).__name__}; {advice}")
