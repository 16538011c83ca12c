"""The F0 contour: its shape (correlation) and its liveliness (spread).

Contours are the pitch columns [octaves, log2 F0 up to a constant] over the frames that are voiced in the ORIGINAL, so
that what is compared does not depend on what the decoder calls voiced. With x decoded, y original, both less their
mean over the n frames of an item::

    s_x^2 = sum x^2 / n      s_y^2 = sum y^2 / n      c = sum x y / n      r = c / (max(s_x, s_min) s_y)

r is 1 for identical contours of any length. ``s_min`` only acts on a (nearly) flat decoded contour, where the
correlation is not defined; there the gradient still points along the original contour and stays finite.

Items with too few voiced frames, or whose original is flat, do not count.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from aether_lite.features.bark import voiced_frames
from aether_lite.features.layout import NUM_FREE, PITCH
from aether_lite.losses.reduction import Reduce, alone, joined_mean

FEWEST_VOICED = 10  # frames (100 ms) an item needs to have a contour
LEAST_SPREAD = 0.03  # octaves (36 cents): below it a contour is flat
SPREAD_KEPT = 0.9  # share of the original's spread that the decoded contour must keep
_ROUND = 1e-3  # octaves (1.2 cents): makes the spread of an exactly flat contour differentiable


@dataclass(frozen=True)
class ContourMoments:
    """Second moments of the centred contours of each item ``[B]`` [octaves^2], and which items count ``[B] bool``."""

    decoded: Tensor
    original: Tensor
    product: Tensor
    counted: Tensor


def contour_moments(decoded: Tensor, original: Tensor, mask: Tensor | None = None) -> ContourMoments:
    """Moments over the frames voiced in the original.

    Args:
        decoded, original: features ``[B, F, 20]``.
        mask: ``[B, F]``, false where a frame is padding; None keeps all.

    Raises:
        ValueError: shapes that do not fit each other.
    """
    if decoded.shape != original.shape or decoded.ndim != 3 or decoded.shape[-1] != NUM_FREE:
        raise ValueError(f"features must both be [B, F, 20], not {tuple(decoded.shape)} and {tuple(original.shape)}")
    voiced = voiced_frames(original) if mask is None else voiced_frames(original) & (mask > 0)
    frames = voiced.sum(-1)
    count = frames.clamp_min(1).to(decoded.dtype)

    def centred(features: Tensor) -> Tensor:
        contour = torch.where(voiced, features[..., PITCH], 0)
        return torch.where(voiced, contour - (contour.sum(-1) / count)[:, None], 0)

    x, y = centred(decoded), centred(original)
    spread = y.square().sum(-1) / count
    counted = (frames >= FEWEST_VOICED) & (spread > LEAST_SPREAD**2)
    return ContourMoments(x.square().sum(-1) / count, spread, (x * y).sum(-1) / count, counted)


def f0_correlation(moments: ContourMoments) -> Tensor:
    """Pearson correlation r of log2 F0 of each item ``[B]``, -1..1; without meaning where an item does not count."""
    floor = LEAST_SPREAD**2
    return moments.product / (moments.decoded.clamp_min(floor) * moments.original.clamp_min(floor)).sqrt()


def f0_correlation_loss(
    decoded: Tensor,
    original: Tensor,
    mask: Tensor | None = None,
    weight: Tensor | None = None,
    reduce: Reduce = alone,
) -> Tensor:
    """``1 - r``, mean over the counted items of the joined batch: a scalar, 0 (same contours) .. 2 (mirrored).

    Args:
        decoded, original, mask: as :func:`contour_moments`.
        weight: of each item ``[B]``.
        reduce: sum over ranks, see :mod:`aether_lite.losses.reduction`.
    """
    moments = contour_moments(decoded, original, mask)
    return joined_mean(1 - f0_correlation(moments), moments.counted, weight, reduce)


def f0_spread_loss(
    decoded: Tensor,
    original: Tensor,
    mask: Tensor | None = None,
    weight: Tensor | None = None,
    reduce: Reduce = alone,
) -> Tensor:
    """``max(0, 0.9 s_y - s_x)`` [octaves], mean over the counted items: a scalar, 0 where the voice stays lively.

    It sees only the spread: a contour that is exactly flat gets no direction from it (the correlation loss gives one).
    Arguments as :func:`f0_correlation_loss`.
    """
    moments = contour_moments(decoded, original, mask)
    own, wanted = ((moment + _ROUND**2).sqrt() for moment in (moments.decoded, moments.original))
    return joined_mean((SPREAD_KEPT * wanted - own).clamp_min(0), moments.counted, weight, reduce)
