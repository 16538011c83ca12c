"""Pitch that sticks to one value: the first sign of a collapsed decoder."""

from __future__ import annotations

import torch
from torch import Tensor

from aether_lite.features.layout import PITCH
from aether_lite.features.tensors import voiced_frames
from aether_lite.metrics.pitch import CENTS_PER_OCTAVE

BIN_CENTS = 5.0
SMOOTHING_BINS = 11  # the original's histogram is smoothed over this many bins


def pitch_spike(decoded: Tensor, original: Tensor, mask: Tensor) -> float:
    """How far the decoded pitch heaps up: greatest share of a 5-cent bin relative to the original's.

    Each side counts its own voiced frames. The original's histogram is averaged over 11 bins and floored at the share
    of a flat histogram over three octaves, so that an empty bin is not divided by.

    Args:
        decoded, original: ``[..., F, 20]``.
        mask: ``[..., F] bool``.
    """
    bins = round(3 * CENTS_PER_OCTAVE / BIN_CENTS)
    shares = []
    for features in (decoded, original):
        pitch = features[..., PITCH][mask & voiced_frames(features)]
        if pitch.numel() == 0:
            return 0.0
        histogram = torch.histc(pitch.float(), bins, -1.5, 1.5)
        shares.append(histogram / histogram.sum())
    window = torch.ones(1, 1, SMOOTHING_BINS) / SMOOTHING_BINS
    smooth = torch.nn.functional.conv1d(shares[1][None, None].cpu(), window, padding=SMOOTHING_BINS // 2)
    return float((shares[0].cpu() / smooth[0, 0].clamp_min(1 / bins)).max())
