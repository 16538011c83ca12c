"""The speech image: the time-Bark plane of a clip, as the codec sees it.

Rows 0..17 are the log10 energies of the 18 Bark bands (the inverse orthonormal DCT-II of the cepstrum, with the 4
that the features subtract from c0 added back), row 18 is the pitch feature [octaves], row 19 the frame
correlation ("voicing"); columns are frames of 10 ms. The mapping is linear and invertible. Rows are normalised
with constants that are part of the model, never with statistics of the clip.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from aether_lite.features.bark import C0_OFFSET, DCT
from aether_lite.features.layout import CORRELATION_MAX, NUM_BANDS, NUM_FREE, PITCH, PITCH_MAX, VOICING

NUM_ROWS = NUM_FREE


def patches(image: Tensor, token_frames: int) -> Tensor:
    """Tokens of an image ``[B, F, 20]`` as vectors ``[B, F / token_frames, 20 * token_frames]``, frame by frame.

    Raises:
        ValueError: the frames are not whole tokens.
    """
    batch, frames, _ = image.shape
    if frames % token_frames:
        raise ValueError(f"{frames} frames are not whole tokens of {token_frames}")
    return image.reshape(batch, frames // token_frames, -1)


def bounded_pitch(x: Tensor) -> Tensor:
    """Map any real number smoothly into the pitch feature's range (-1.5, 1.5) octaves."""
    return PITCH_MAX * torch.tanh(x / PITCH_MAX)


def bounded_voicing(x: Tensor) -> Tensor:
    """Map any real number smoothly into the correlation feature's range (-0.5, 0.5)."""
    return CORRELATION_MAX * torch.tanh(x / CORRELATION_MAX)


class SpeechImage(nn.Module):
    """Features to normalised speech image and back; holds the normalisation constants.

    Buffers ``mean`` and ``scale``, each ``[20] float32``, are set once from training data by :meth:`set_constants`
    and travel with the checkpoint.
    """

    mean: Tensor
    scale: Tensor
    dct: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(NUM_ROWS))
        self.register_buffer("scale", torch.ones(NUM_ROWS))
        self.register_buffer("dct", torch.from_numpy(DCT).float(), persistent=False)

    def set_constants(self, features: Tensor) -> None:
        """Take mean and standard deviation of every row from ``features [F, 20]`` (training data)."""
        rows = self.rows(features).double()
        self.mean.copy_(rows.mean(0))
        self.scale.copy_(rows.std(0))

    def rows(self, features: Tensor) -> Tensor:
        """Physical rows ``[..., F, 20]`` (log10 band energies, octaves, correlation) of features ``[..., F, 20]``."""
        if features.shape[-1] != NUM_ROWS:
            raise ValueError(f"features must have 20 values a frame, not {tuple(features.shape)}")
        cepstrum = torch.cat((features[..., :1] + C0_OFFSET, features[..., 1:NUM_BANDS]), dim=-1)
        return torch.cat((cepstrum @ self.dct, features[..., NUM_BANDS:]), dim=-1)

    def from_rows(self, rows: Tensor) -> Tensor:
        """Inverse of :meth:`rows`."""
        cepstrum = rows[..., :NUM_BANDS] @ self.dct.T
        return torch.cat((cepstrum[..., :1] - C0_OFFSET, cepstrum[..., 1:], rows[..., NUM_BANDS:]), dim=-1)

    def forward(self, features: Tensor) -> Tensor:
        """Normalised image ``[B, F, 20]`` of features ``[B, F, 20]``."""
        return (self.rows(features) - self.mean) / self.scale

    def to_features(self, image: Tensor, *, bounded: bool = True) -> Tensor:
        """Features ``[B, F, 20]`` of a normalised image ``[B, F, 20]``.

        With ``bounded`` (for a network's output) pitch and voicing go through a smooth bound to their ranges;
        without it the map is the exact inverse of :meth:`forward`.
        """
        rows = image * self.scale + self.mean
        if bounded:
            rows = torch.cat(
                (
                    rows[..., :NUM_BANDS],
                    bounded_pitch(rows[..., PITCH : PITCH + 1]),
                    bounded_voicing(rows[..., VOICING:]),
                ),
                dim=-1,
            )
        return self.from_rows(rows)


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
    """Linear read-out of :class:`Semantics` from tokens ``[B, K, d]``, which the Anti-Buzz losses supervise."""

    def __init__(self, width: int, token_frames: int) -> None:
        super().__init__()
        self.token_frames = token_frames
        self.read = nn.Linear(width, 3 * token_frames)

    def forward(self, tokens: Tensor) -> Semantics:
        values = self.read(tokens).reshape(tokens.shape[0], -1, 3)
        return Semantics(bounded_pitch(values[..., 0]), values[..., 1], values[..., 2])
