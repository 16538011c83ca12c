"""Algorithmic latency, added up from the parts.

Definition: the newest input sample that an output sample depends on, minus that output sample's own position, at its
greatest over the output. Time to send the symbols and to compute comes on top.
"""

from __future__ import annotations

from dataclasses import dataclass

from aether_lite.features.layout import FRAME, SAMPLE_RATE
from aether_lite.features.pitch import ROW_LOOKAHEAD_SAMPLES
from aether_lite.vocoder import DELAY_SAMPLES


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


def latency(token_frames: int, lookahead: int = 0) -> Latency:
    """Latency of a codec whose tokens cover ``token_frames`` frames and whose decoder waits for ``lookahead`` more."""
    return Latency(ROW_LOOKAHEAD_SAMPLES, ((1 + lookahead) * token_frames - 1) * FRAME, DELAY_SAMPLES)
