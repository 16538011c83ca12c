"""The feature loss: distance of decoded from true FARGAN features.

Definition (the public formula of RADE), y true, x decoded, mean over frames::

    mean_i (cx_i - cy_i)^2  +  3 (10/18) |2 (px - py)| max(vy + 0.5, 0)^2  +  (1/18) (vx - vy)^2

with the 18 cepstra c, the pitch feature p [octaves] and the frame correlation v. Its author calls about 0.3 the limit
of usable speech. It barely sees voicing: report the V/UV error beside it.

The delta loss applies the same formula to first differences over time, ``d[t] = e[t] - e[t-1]`` of the errors e::

    mean_i (dc_i)^2  +  3 (10/18) |2 dp| max(min(vy[t], vy[t-1]) + 0.5, 0)^2  +  (1/18) dv^2

It does not see a constant offset and punishes jitter: frame errors independent of each other cost twice their
feature loss in the squared terms. Its three terms keep the weights of the feature loss.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from aether_lite.features.layout import CEPSTRA, PITCH, VOICING

PITCH_SCALE = 3 * (10 / 18) * 2
VOICING_SCALE = 1 / 18


@dataclass(frozen=True)
class FeatureLossParts:
    """The three terms of the feature loss, already weighted; each ``[...]`` (one value a clip)."""

    cepstrum: Tensor
    pitch: Tensor
    voicing: Tensor

    @property
    def total(self) -> Tensor:
        """Their sum, the feature loss."""
        return self.cepstrum + self.pitch + self.voicing


def feature_loss_parts(decoded: Tensor, original: Tensor, weight: Tensor | None = None) -> FeatureLossParts:
    """Terms of the feature loss of every clip.

    Args:
        decoded, original: ``[..., F, 20]``.
        weight: ``[..., F]``, 1 where a frame counts and 0 where it is padding; None counts all.
    """
    if decoded.shape != original.shape or decoded.shape[-1] != 20:
        raise ValueError(f"features must both be [..., F, 20], not {tuple(decoded.shape)} and {tuple(original.shape)}")
    cepstrum = (decoded[..., CEPSTRA] - original[..., CEPSTRA]).square().mean(-1)
    voicedness = (original[..., VOICING] + 0.5).clamp_min(0).square()
    pitch = PITCH_SCALE * (decoded[..., PITCH] - original[..., PITCH]).abs() * voicedness
    voicing = VOICING_SCALE * (decoded[..., VOICING] - original[..., VOICING]).square()
    return FeatureLossParts(*(_frame_mean(term, weight) for term in (cepstrum, pitch, voicing)))


def feature_loss(decoded: Tensor, original: Tensor, weight: Tensor | None = None) -> Tensor:
    """Feature loss of every clip ``[...]``, at least 0; lower is better. Arguments as :func:`feature_loss_parts`."""
    return feature_loss_parts(decoded, original, weight).total


def delta_feature_loss_parts(decoded: Tensor, original: Tensor, weight: Tensor | None = None) -> FeatureLossParts:
    """Terms of the delta loss of every clip, mean over the F - 1 steps between frames.

    Args:
        decoded, original: ``[..., F, 20]``, F at least 2.
        weight: ``[..., F]``, 1 where a frame counts and 0 where it is padding; a step counts where both its frames
            do, and every clip has such a step. None counts all.
    """
    if decoded.shape != original.shape or decoded.shape[-1] != 20 or decoded.ndim < 2 or decoded.shape[-2] < 2:
        raise ValueError(
            f"features must both be [..., F >= 2, 20], not {tuple(decoded.shape)} and {tuple(original.shape)}"
        )
    step = (decoded - original).diff(dim=-2)
    voicing = original[..., VOICING]
    voicedness = (torch.minimum(voicing[..., 1:], voicing[..., :-1]) + 0.5).clamp_min(0).square()
    terms = (
        step[..., CEPSTRA].square().mean(-1),
        PITCH_SCALE * step[..., PITCH].abs() * voicedness,
        VOICING_SCALE * step[..., VOICING].square(),
    )
    steps = None if weight is None else weight[..., 1:] * weight[..., :-1]
    return FeatureLossParts(*(_frame_mean(term, steps) for term in terms))


def delta_feature_loss(decoded: Tensor, original: Tensor, weight: Tensor | None = None) -> Tensor:
    """Delta loss of every clip ``[...]``, at least 0. Arguments as :func:`delta_feature_loss_parts`."""
    return delta_feature_loss_parts(decoded, original, weight).total


def _frame_mean(term: Tensor, weight: Tensor | None) -> Tensor:
    if weight is None:
        return term.mean(-1)
    return (term * weight).sum(-1) / weight.sum(-1)
