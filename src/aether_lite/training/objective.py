"""The SPI terms: what the codec does to features and semantics."""

from __future__ import annotations

from collections.abc import Container, Sequence

import torch
from torch import Tensor

from aether_lite.channels.bits import Bits
from aether_lite.channels.signal import Symbols
from aether_lite.codec import Transmission
from aether_lite.listener import Listener
from aether_lite.losses.f0 import f0_correlation_loss, f0_spread_loss
from aether_lite.losses.feature import delta_feature_loss, feature_loss
from aether_lite.losses.listening import listening_loss
from aether_lite.losses.loudness import loudness_loss
from aether_lite.losses.reduction import Reduce, alone
from aether_lite.losses.semantic import normalised_energy, semantic_loss
from aether_lite.losses.silence import silence_loss
from aether_lite.losses.voicing import voicing_loss

SPI_WEIGHTS: dict[str, float] = {
    "feature": 1.0,  # the public feature loss
    "delta": 0.05,  # the same on first differences over time
    "image": 0.1,  # L1 of the normalised speech images
    "voicing": 0.05,  # cross-entropy of the decoded voicing decision
    "semantic": 0.02,  # read-outs on the encoder's and the decoder's tokens
    "f0_contour": 0.02,  # 1 - correlation of the F0 contour
    "f0_spread": 0.05,  # spread of F0 below 0.9 of the original's
    "silence": 0.02,  # decoded energy where the original is silent
}
"""Weight of each SPI term relative to the feature loss; those of ``loudness`` and ``listening`` are options."""


def spi_weights(loudness: float, listening: float = 0.0) -> dict[str, float]:
    """Weight of every SPI term."""
    return {**SPI_WEIGHTS, "loudness": loudness, "listening": listening}


def expected_loss(rate: Tensor, snr_db: Tensor) -> Tensor:
    """Rough feature loss ``[B]`` to expect at a rate [uses/s] and Es/N0 [dB]: a + b / C^0.7, C = capacity [bit/s].

    Fitted by eye to the loss of early models over rates 150..1200 and -6..20 dB. It only balances conditions.
    """
    return _loss_at_capacity(rate * torch.log2(1 + 10 ** (snr_db / 10)))


def _loss_at_capacity(capacity: Tensor) -> Tensor:
    return 0.07 + 13.0 * capacity.clamp_min(1.0) ** -0.7


def balance(rate: Tensor, snr_db: Tensor) -> Tensor:
    """Weights ``[B]`` proportional to expected_loss^-1/2, so that bad channels do not drown good ones."""
    return (expected_loss(rate, snr_db) / 0.15) ** -0.5


def bit_balance(rate: Tensor, error_rate: Tensor) -> Tensor:
    """The same of bit rates ``[B]`` [bit/s] at the error rates ``[B]`` of hard decisions: capacity of the BSC."""
    p = error_rate.double().clamp(1e-12, 0.5)
    entropy = -(p * p.log2() + (1 - p) * (1 - p).log2())
    capacity = (rate * (1 - entropy)).to(error_rate.dtype)
    return (_loss_at_capacity(capacity) / 0.15) ** -0.5


def spi_terms(
    sent: Transmission[Symbols] | Transmission[Bits],
    features: Tensor,
    weight: Tensor,
    reduce: Reduce = alone,
    listener: Listener | None = None,
    listened: Sequence[int] = (),
) -> dict[str, Tensor]:
    """Every SPI term, a scalar each, items weighted, not yet multiplied by :func:`spi_weights`.

    Args:
        features: true features ``[B, F, 20]``.
        weight: weight of each item ``[B]``, see :func:`balance`.
        reduce: sum over ranks, see :mod:`aether_lite.losses.reduction`.
        listener: gives the term ``listening``; without it there is none.
        listened: the items that it is counted on.
    """
    energy = normalised_energy(sent.target_image)
    items = {
        "feature": feature_loss(sent.features, features),
        "delta": delta_feature_loss(sent.features, features),
        "image": (sent.image - sent.target_image).abs().mean((-1, -2)),
        "voicing": voicing_loss(sent.features, features),
        "loudness": loudness_loss(sent.features, features),
        "semantic": semantic_loss(sent.encoder_semantics, features, energy)
        + semantic_loss(sent.decoder_semantics, features, energy),
    }
    terms = {name: (weight * value).mean() for name, value in items.items()}
    if listener is not None:
        chosen = list(listened)
        terms["listening"] = (weight[chosen] * listening_loss(listener, sent.features[chosen], features[chosen])).mean()
    return {
        **terms,
        "f0_contour": f0_correlation_loss(sent.features, features, weight=weight, reduce=reduce),
        "f0_spread": f0_spread_loss(sent.features, features, weight=weight, reduce=reduce),
        "silence": silence_loss(sent.features, features, weight=weight, reduce=reduce),
    }


def weighted_sum(terms: dict[str, Tensor], weights: dict[str, float], counted: Container[str], like: Tensor) -> Tensor:
    """Weighted sum of the terms that the stage counts."""
    total = like.new_zeros(())
    for name, value in terms.items():
        if name in counted:
            total = total + weights[name] * value
    return total
