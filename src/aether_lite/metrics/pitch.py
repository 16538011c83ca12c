"""Pitch and voicing of decoded features against the original.

A frame is voiced when its frame correlation (column 19) exceeds 0.1. Pitch errors are taken on active frames that
are voiced in the original: what the decoded voicing says is counted by the V/UV error, not here.
"""

from __future__ import annotations

import torch
from torch import Tensor

from aether_lite.features.layout import PITCH
from aether_lite.features.tensors import voiced_frames
from aether_lite.metrics.active import (
    NAN,
    active_frames,
    check_features,
    frame_mean,
    frame_quantile,
)

GROSS_CENTS = 316.0  # beyond it an error is gross: a factor of 1.2
CENTS_PER_OCTAVE = 1200.0
LOWEST_F0 = 62.5  # [Hz], at pitch -1.5
FEWEST_FRAMES = 2  # for a correlation or a spread


def f0_hz(features: Tensor) -> Tensor:
    """Fundamental frequency ``[..., F]`` [Hz] of features ``[..., F, 20]``, voiced or not."""
    return LOWEST_F0 * torch.exp2(features[..., PITCH] + 1.5)


def vuv_error(decoded: Tensor, original: Tensor, mask: Tensor | None = None) -> Tensor:
    """Share ``[...]`` of active frames whose voicing decision flips, 0..1, lower is better.

    Args:
        decoded: ``[..., F, 20]``.
        original: ``[..., F, 20]``.
        mask: ``[..., F] bool``, frames that belong to the clip.
    """
    mask = check_features(decoded, original, mask)
    flipped = (voiced_frames(decoded) != voiced_frames(original)).to(original.dtype)
    return frame_mean(flipped, active_frames(original, mask))


def pitch_median_cents(decoded: Tensor, original: Tensor, mask: Tensor | None = None) -> Tensor:
    """Median absolute pitch error ``[...]`` [cents] on voiced active frames, lower is better; shapes as above."""
    cents, counted = _pitch_errors(decoded, original, mask)
    return frame_quantile(cents, counted, 0.5)


def gross_pitch_error(decoded: Tensor, original: Tensor, mask: Tensor | None = None) -> Tensor:
    """Share ``[...]`` of voiced active frames whose pitch is off by more than 316 cents, 0..1, lower is better."""
    cents, counted = _pitch_errors(decoded, original, mask)
    return frame_mean((cents > GROSS_CENTS).to(cents.dtype), counted)


def pitch_fine_rms_cents(decoded: Tensor, original: Tensor, mask: Tensor | None = None) -> Tensor:
    """Root mean square pitch error ``[...]`` [cents] of the voiced active frames that are not gross errors."""
    cents, counted = _pitch_errors(decoded, original, mask)
    return frame_mean(cents.square(), counted & (cents <= GROSS_CENTS)).sqrt()


def f0_correlation(decoded: Tensor, original: Tensor, mask: Tensor | None = None) -> Tensor:
    """Pearson correlation ``[...]`` of log2 F0 over the frames voiced in both, -1..1, higher is better.

    NaN where fewer than two frames are voiced in both, or one of the contours is flat. Shapes as above.
    """
    mask = check_features(decoded, original, mask) & voiced_frames(decoded) & voiced_frames(original)
    x, y = (_centred(features[..., PITCH].double(), mask) for features in (decoded, original))
    power = frame_mean(x.square(), mask) * frame_mean(y.square(), mask)
    defined = (mask.sum(dim=-1) >= FEWEST_FRAMES) & (power > 1e-24)
    correlation = frame_mean(x * y, mask) / torch.where(defined, power, 1).sqrt()
    return torch.where(defined, correlation.clamp(-1, 1), NAN).to(original.dtype)


def f0_spread_ratio(decoded: Tensor, original: Tensor, mask: Tensor | None = None) -> Tensor:
    """Standard deviation of the decoded F0 [Hz] over its voiced frames / that of the original ``[...]``, >= 0.

    Near 1 is good; towards 0 the voice has become monotone ("buzz"). NaN where either has fewer than two voiced
    frames or the original is flat. Shapes as above.
    """
    mask = check_features(decoded, original, mask)
    spreads = []
    for features in (decoded, original):
        own = mask & voiced_frames(features)
        spread = frame_mean(_centred(f0_hz(features).double(), own).square(), own).sqrt()
        spreads.append(torch.where(own.sum(dim=-1) >= FEWEST_FRAMES, spread, NAN))
    return torch.where(spreads[1] > 1e-6, spreads[0] / spreads[1], NAN).to(original.dtype)


def _pitch_errors(decoded: Tensor, original: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
    """Absolute pitch error ``[..., F]`` [cents], and the frames on which it counts."""
    mask = check_features(decoded, original, mask)
    cents = CENTS_PER_OCTAVE * (decoded[..., PITCH] - original[..., PITCH]).abs()
    return cents, active_frames(original, mask) & voiced_frames(original)


def _centred(values: Tensor, mask: Tensor) -> Tensor:
    """``[..., F]`` less its mean over the mask; zero outside."""
    return torch.where(mask, values - frame_mean(values, mask)[..., None], 0)
