"""What a token means, readable without a vocoder: pitch, voicing and energy of its frames.

The same head form sits on the encoder's and on the decoder's tokens; it is what the Anti-Buzz losses supervise.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from aether_lite.spi.image import bounded_pitch


@dataclass(frozen=True)
class Semantics:
    """Semantic features of every frame, each ``[B, F]``.

    Attributes:
        pitch: pitch feature [octaves], -1.5..1.5; F0 = 62.5 Hz * 2^(pitch + 1.5).
        voicing_logit: log-odds that the frame is voiced.
        energy: mean log10 band energy, normalised like the image's rows.
    """

    pitch: Tensor
    voicing_logit: Tensor
    energy: Tensor


class SemanticHead(nn.Module):
    """Linear read-out of :class:`Semantics` from tokens ``[B, K, d]``."""

    def __init__(self, width: int, token_frames: int) -> None:
        super().__init__()
        self.token_frames = token_frames
        self.read = nn.Linear(width, 3 * token_frames)

    def forward(self, tokens: Tensor) -> Semantics:
        values = self.read(tokens).reshape(tokens.shape[0], -1, 3)
        return Semantics(bounded_pitch(values[..., 0]), values[..., 1], values[..., 2])
