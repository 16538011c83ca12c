"""Which frames count, and how numbers of frames become one number of a clip.

A frame is *active* when its energy lies within 40 dB of the 95th percentile of its clip. The energy is that of
the original: the sum of the 18 band energies that its cepstrum stands for.
"""

from __future__ import annotations

import torch
from torch import Tensor

from aether_lite.features.layout import NUM_FREE
from aether_lite.features.tensors import log_bands

ACTIVE_RANGE_DB = 40.0
REFERENCE_QUANTILE = 0.95
NAN = float("nan")


def check_features(decoded: Tensor, original: Tensor, mask: Tensor | None = None) -> Tensor:
    """The mask to use, ``[..., F] bool`` (all true for None).

    Raises:
        ValueError: not two times ``[..., F, 20]`` with a mask ``[..., F]``.
    """
    if decoded.shape != original.shape or decoded.ndim < 2 or decoded.shape[-1] != NUM_FREE:
        raise ValueError(
            f"features must both be [..., F, {NUM_FREE}], not {tuple(decoded.shape)} and {tuple(original.shape)}"
        )
    if mask is None:
        return torch.ones(original.shape[:-1], dtype=torch.bool, device=original.device)
    if mask.shape != original.shape[:-1]:
        raise ValueError(f"the mask must be {tuple(original.shape[:-1])}, not {tuple(mask.shape)}")
    return mask.to(torch.bool)


def band_levels(features: Tensor) -> Tensor:
    """Band energies ``[..., 18]`` [dB, on the int16 scale] of features ``[..., >= 18]``: 10 L, L = iDCT(c)."""
    return 10 * log_bands(features)


def frame_levels(features: Tensor) -> Tensor:
    """Energy of each frame ``[...]`` [dB, on the int16 scale]: the sum over the 18 bands."""
    nepers = torch.log(torch.tensor(10.0, dtype=features.dtype)).item() / 10
    return torch.logsumexp(band_levels(features) * nepers, dim=-1) / nepers


def active_frames(original: Tensor, mask: Tensor | None = None) -> Tensor:
    """``[..., F] bool``: frames within 40 dB of the 95th percentile of frame energy of their clip.

    Args:
        original: ``[..., F, 20]`` features of the speech that was sent.
        mask: ``[..., F] bool``, frames that belong to the clip. The others are never active.
    """
    mask = check_features(original, original, mask)
    levels = frame_levels(original)
    reference = frame_quantile(levels, mask, REFERENCE_QUANTILE)
    return mask & (levels >= reference[..., None] - ACTIVE_RANGE_DB)


def frame_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Mean ``[...]`` of the frames ``[..., F]`` in the mask; NaN where there are none."""
    kept = torch.where(mask, values, 0)
    return kept.sum(dim=-1) / mask.sum(dim=-1)


def frame_quantile(values: Tensor, mask: Tensor, quantile: float) -> Tensor:
    """Quantile ``[...]`` (linear between ranks) of the frames ``[..., F]`` in the mask; NaN where there are none.

    Sorts rather than calling ``torch.quantile``, which refuses more than 2^24 values (46 hours of frames).
    """
    if values.shape[-1] == 0:
        return values.new_full(values.shape[:-1], NAN)
    ordered = torch.where(mask, values, float("inf")).sort(dim=-1).values
    count = mask.sum(dim=-1)
    rank = (count - 1).clamp(min=0) * quantile
    below = rank.floor().long()
    above = torch.minimum(below + 1, (count - 1).clamp(min=0))
    low, high = (ordered.gather(-1, index[..., None])[..., 0] for index in (below, above))
    share = (rank - below).to(values.dtype)
    return torch.where(count > 0, torch.lerp(low, high, share), NAN)
