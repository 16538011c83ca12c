"""Feature loss: the distance of decoded from true FARGAN features, of tensors (with a gradient) or arrays.

The public formula of RADE, y true, x decoded, mean over frames::

    mean_i (cx_i - cy_i)^2  +  3 (10/18) |2 (px - py)| max(vy + 0.5, 0)^2  +  (1/18) (vx - vy)^2

with the 18 cepstra c, the pitch feature p [octaves] and the frame correlation v. Its author calls about 0.3 the limit
of usable speech. It barely sees voicing: report the V/UV error beside it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from aether_lite.features.layout import CEPSTRA, NUM_FREE, PITCH, VOICING
from aether_lite.payload import namespace

if TYPE_CHECKING:
    from torch import Tensor as Array

PITCH_SCALE = 3 * (10 / 18) * 2
VOICING_SCALE = 1 / 18


@dataclass(frozen=True)
class FeatureLossParts:
    """The three terms of the feature loss, already weighted; each ``[...]`` (one value a clip)."""

    cepstrum: Array
    pitch: Array
    voicing: Array

    @property
    def total(self) -> Array:
        """Their sum, the feature loss."""
        return self.cepstrum + self.pitch + self.voicing


def feature_loss_parts(decoded: Array, original: Array, weight: Array | None = None) -> FeatureLossParts:
    """Terms of the feature loss of every clip.

    Args:
        decoded, original: ``[..., F, 20]``.
        weight: ``[..., F]``, 1 where a frame counts and 0 where it is padding; None counts all.

    Raises:
        ValueError: shapes that differ or are not of features.
    """
    check_pair(decoded, original)
    return parts_of(decoded - original, original[..., VOICING], weight)


def check_pair(decoded: Array, original: Array, *, least: int = 0, batch: bool = False) -> None:
    """Raise ValueError unless both are features ``[..., F, 20]`` of ``least`` frames or more; ``batch``: [B, F, 20]."""
    fits = decoded.ndim == 3 if batch else decoded.ndim >= 2
    if decoded.shape != original.shape or not fits or decoded.shape[-1] != NUM_FREE or decoded.shape[-2] < least:
        wanted = "[B, F, 20]" if batch else f"[..., F >= {least}, 20]" if least else "[..., F, 20]"
        raise ValueError(f"features must have one shape {wanted}, not {tuple(decoded.shape)}, {tuple(original.shape)}")


def parts_of(error: Array, voicing: Array, weight: Array | None) -> FeatureLossParts:
    """Terms of errors ``[..., F, 20]`` where the original has the frame correlation ``[..., F]``."""
    terms = (
        (error[..., CEPSTRA] ** 2).mean(-1),
        PITCH_SCALE * abs(error[..., PITCH]) * namespace(voicing).clip(voicing + 0.5, 0, None) ** 2,
        VOICING_SCALE * error[..., VOICING] ** 2,
    )
    if weight is None:
        return FeatureLossParts(*(term.mean(-1) for term in terms))
    return FeatureLossParts(*((term * weight).sum(-1) / weight.sum(-1) for term in terms))
