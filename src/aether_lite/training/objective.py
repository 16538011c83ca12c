"""The feature-stage objective: what one pass through the channel costs."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from aether_lite.codec import Transmission
from aether_lite.losses.feature import feature_loss
from aether_lite.losses.semantic import normalised_energy, semantic_loss, voicing_loss


@dataclass(frozen=True)
class FeatureWeights:
    """Weights of the terms beside the feature loss (weight 1).

    Attributes:
        image: L1 distance of the normalised images.
        voicing: cross-entropy of the decoded voicing decision.
        semantic: read-outs on the encoder's and the decoder's tokens.
    """

    image: float = 0.1
    voicing: float = 0.05
    semantic: float = 0.02


def expected_loss(rate: Tensor, snr_db: Tensor) -> Tensor:
    """Rough feature loss ``[B]`` to expect at a rate [uses/s] and Es/N0 [dB]: a + b / C^0.7, C the capacity [bit/s].

    Fitted by eye to the loss of early models over rates 150..1200 and -6..20 dB. It only balances conditions.
    """
    capacity = rate * torch.log2(1 + 10 ** (snr_db / 10))
    return 0.07 + 13.0 * capacity.clamp_min(1.0) ** -0.7


def balance(rate: Tensor, snr_db: Tensor) -> Tensor:
    """Weights ``[B]`` proportional to expected_loss^-1/2, so that bad channels do not drown good ones."""
    return (expected_loss(rate, snr_db) / 0.15) ** -0.5


def feature_objective(
    sent: Transmission, features: Tensor, weight: Tensor, weights: FeatureWeights
) -> tuple[Tensor, dict[str, Tensor]]:
    """Weighted total and its unweighted parts, each a scalar.

    Args:
        features: true features ``[B, F, 20]``.
        weight: weight of each item ``[B]``, see :func:`balance`.
    """
    energy = normalised_energy(sent.target_image)
    parts = {
        "feature": feature_loss(sent.features, features),
        "image": (sent.image - sent.target_image).abs().mean((-1, -2)),
        "voicing": voicing_loss(sent.features, features),
        "semantic": semantic_loss(sent.encoder_semantics, features, energy)
        + semantic_loss(sent.decoder_semantics, features, energy),
    }
    scale = {"feature": 1.0, "image": weights.image, "voicing": weights.voicing, "semantic": weights.semantic}
    total = sum((scale[name] * value for name, value in parts.items()), torch.zeros_like(weight))
    return (weight * total).mean(), {name: value.mean() for name, value in parts.items()}
