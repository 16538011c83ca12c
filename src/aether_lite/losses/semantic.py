"""Losses on the semantic read-outs: pitch, voicing and energy, frame by frame."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from aether_lite.features.bark import voiced_frames
from aether_lite.features.layout import PITCH, VOICING
from aether_lite.spi import Semantics


def pitch_weight(features: Tensor) -> Tensor:
    """Weight of the pitch in the public feature loss: (v + 0.5)^2, 0 unvoiced .. 1; ``[..., F]``."""
    return (features[..., VOICING] + 0.5).clamp_min(0).square()


def semantic_loss(read: Semantics, features: Tensor, energy: Tensor) -> Tensor:
    """Mean semantic loss of each item ``[B]``: weighted L1 of pitch [octaves], binary cross-entropy of voicing
    [nats] and L1 of the normalised energy, summed.

    Args:
        read: read-outs ``[B, F]``.
        features: true features ``[B, F, 20]``.
        energy: true normalised energy ``[B, F]``.
    """
    pitch = (read.pitch - features[..., PITCH]).abs() * pitch_weight(features)
    voiced = voiced_frames(features).to(read.voicing_logit.dtype)
    voicing = F.binary_cross_entropy_with_logits(read.voicing_logit, voiced, reduction="none")
    return (pitch + voicing + (read.energy - energy).abs()).mean(-1)


def normalised_energy(image: Tensor) -> Tensor:
    """Mean of the 18 band rows of a normalised speech image ``[B, F, 20]``: ``[B, F]``."""
    return torch.mean(image[..., :18], dim=-1)
