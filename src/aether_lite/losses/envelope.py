"""Intelligibility of band envelopes: the extended STOI of J. Jensen and C. H. Taal, on the speech image.

"An algorithm for predicting the intelligibility of speech masked by modulated noise maskers", IEEE/ACM TASLP 24 (11),
2016. ESTOI compares the amplitudes of bands over about 0.4 s: those of every band are freed of their mean and scaled to
norm 1, then those of every frame, and the segment counts by the correlation of what is left. So gains of bands and
levels of frames are not heard, patterns over time and frequency are. Here the bands are the Bark bands of the features
up to 4.8 kHz instead of third octaves, and no audio is made.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from aether_lite.features.bark import log_bands

BANDS = 15  # the Bark bands below 4.8 kHz
SEGMENT = 38  # frames of 10 ms; ESTOI has 384 ms
HOP = 4  # frames between segments
RANGE = 4.0  # bel below its loudest frame at which a frame is silence and left out, as ESTOI leaves out 40 dB
_NATURAL = math.log(10)
_LEAST = 1e-4  # of a norm, relative to amplitudes of 1 at the loudest frame of a clip


def envelope_loss(decoded: Tensor, original: Tensor) -> Tensor:
    """One minus the mean correlation of the normalised segments of every clip ``[...]``, 0 to 2.

    Args:
        decoded, original: features ``[..., F, 20]``, F at least 38.

    Raises:
        ValueError: shapes that differ, or too few frames.
    """
    if decoded.shape != original.shape or original.shape[-2] < SEGMENT:
        raise ValueError(
            f"features must have one shape of {SEGMENT} frames or more, not {tuple(decoded.shape)} and "
            f"{tuple(original.shape)}"
        )
    levels = log_bands(original)[..., :BANDS]
    frames = torch.logsumexp(levels * _NATURAL, dim=-1) / _NATURAL
    loudest = frames.amax(-1, keepdim=True)
    speech = (frames > loudest - RANGE).to(levels.dtype)
    heard, true = (
        _segments(10 ** ((each - loudest[..., None]) / 2)) for each in (log_bands(decoded)[..., :BANDS], levels)
    )
    correlation = (heard * true).sum((-1, -2)) / SEGMENT
    share = speech.unfold(-1, SEGMENT, HOP).mean(-1)
    weight = share * (share > 0.5)  # segments that are mostly silence have no pattern
    return ((1 - correlation) * weight).sum(-1) / weight.sum(-1).clamp_min(_LEAST)


def _segments(amplitudes: Tensor) -> Tensor:
    """Normalised segments ``[..., S, BANDS, SEGMENT]`` of amplitudes ``[..., F, BANDS]``."""
    return _normalised(_normalised(amplitudes.unfold(-2, SEGMENT, HOP), -1), -2)


def _normalised(values: Tensor, axis: int) -> Tensor:
    centred = values - values.mean(axis, keepdim=True)
    return centred / (centred.square().sum(axis, keepdim=True) + _LEAST**2).sqrt()
