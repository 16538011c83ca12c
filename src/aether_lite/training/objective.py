"""The SPI terms: what the codec does to features and semantics."""

from __future__ import annotations

from collections.abc import Container, Sequence

import torch
from torch import Tensor

from aether_lite.codec import Transmission
from aether_lite.losses.asr import Listener
from aether_lite.losses.envelope import envelope_loss
from aether_lite.losses.f0 import f0_correlation_loss, f0_spread_loss
from aether_lite.losses.feature import delta_feature_loss, feature_loss_parts
from aether_lite.losses.listening import listening_loss, words_loss
from aether_lite.losses.loudness import loudness_loss
from aether_lite.losses.reduction import Reduce, alone
from aether_lite.losses.semantic import normalised_energy, semantic_loss
from aether_lite.losses.silence import silence_loss
from aether_lite.losses.voicing import voicing_loss
from aether_lite.payload import Bits, Symbols
from aether_lite.training.config import TrainConfig

SPI_WEIGHTS: dict[str, float] = {
    "feature": 1.0,  # the public feature loss
    "delta": 0.05,  # the same on first differences over time
    "image": 0.1,  # L1 of the normalised speech images
    "semantic": 0.02,  # read-outs on the encoder's and the decoder's tokens
    "f0_contour": 0.02,  # 1 - correlation of the F0 contour
    "f0_spread": 0.05,  # spread of F0 below 0.9 of the original's
    "silence": 0.02,  # decoded energy where the original is silent
}
"""Weight of each SPI term that always counts, relative to the feature loss."""


def spi_weights(config: TrainConfig) -> dict[str, float]:
    """Weight of every SPI term: the fixed ones and those that are options."""
    asked = {
        "voicing": config.lambda_voicing,
        "pitch": config.lambda_pitch,
        "loudness": config.lambda_loudness,
        "envelope": config.lambda_envelope,
        "listening": config.lambda_listening,
        "words": config.lambda_words,
    }
    return {**SPI_WEIGHTS, **asked}


def spi_terms(
    sent: Transmission[Symbols] | Transmission[Bits],
    features: Tensor,
    weight: Tensor,
    reduce: Reduce = alone,
    *,
    listener: Listener | None = None,
    listened: Sequence[int] = (),
    wanted: Tensor | None = None,
    envelope: bool = False,
) -> dict[str, Tensor]:
    """Every SPI term, a scalar each, items weighted, not yet multiplied by :func:`spi_weights`.

    Args:
        features: true features ``[B, F, 20]``.
        weight: weight of each item ``[B]``, see :func:`~aether_lite.training.balance.balance`.
        reduce: sum over ranks, see :mod:`aether_lite.losses.reduction`.
        listener: gives the term ``listening`` and, if it reads, ``words``; without it there is none.
        listened: the items that these are counted on.
        wanted: states that they compare with, of ``listened`` in turn; None: the listener's of the true features.
        envelope: whether there is a term ``envelope``, which wants 38 frames or more.
    """
    energy = normalised_energy(sent.target_image)
    parts = feature_loss_parts(sent.features, features)
    items = {
        "feature": parts.total,
        "pitch": parts.pitch,
        "delta": delta_feature_loss(sent.features, features),
        "image": (sent.image - sent.target_image).abs().mean((-1, -2)),
        "voicing": voicing_loss(sent.features, features),
        "loudness": loudness_loss(sent.features, features),
        "semantic": semantic_loss(sent.encoder_semantics, features, energy)
        + semantic_loss(sent.decoder_semantics, features, energy),
    }
    if envelope:
        items["envelope"] = envelope_loss(sent.features, features)
    terms = {name: (weight * value).mean() for name, value in items.items()}
    if listener is not None:
        chosen = list(listened)
        states = listener(sent.features[chosen])
        if wanted is None:
            with torch.no_grad():
                wanted = listener(features[chosen])
        terms["listening"] = (weight[chosen] * listening_loss(states, wanted)).mean()
        if listener.reader is not None:
            terms["words"] = (weight[chosen] * words_loss(listener, states, wanted)).mean()
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
