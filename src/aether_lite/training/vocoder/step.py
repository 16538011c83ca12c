"""One pass of the vocoder over a batch, with its losses."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from aether_lite.features.layout import FRAME
from aether_lite.losses.adversarial import GanLoss, feature_matching_loss, generator_loss
from aether_lite.losses.continuation import continuation_loss
from aether_lite.losses.reduction import Reduce
from aether_lite.losses.spectral import root_stft_loss
from aether_lite.training.critic import Critic
from aether_lite.training.vocoder.config import KNOWN_FRAMES, VocoderConfig
from aether_lite.vocoder import FARGAN, periods_from_features


@dataclass(frozen=True)
class Judged:
    """Losses of one pass.

    Attributes:
        total: what the vocoder minimises.
        parts: its terms, without gradient, unweighted.
        made: known and made samples ``[B, N]``, pre-emphasised, without gradient: for the discriminators.
    """

    total: Tensor
    parts: dict[str, Tensor]
    made: Tensor


def speak(vocoder: FARGAN, features: Tensor, target: Tensor) -> Tensor:
    """Known and made samples ``[B, N]``, aligned with ``target [B, N]``; features are ``[B, N / 160 + 4, 20]``."""
    known = target[:, : KNOWN_FRAMES * FRAME]
    frames = target.shape[1] // FRAME - KNOWN_FRAMES
    made = vocoder(features, periods_from_features(features), frames, known)
    return torch.cat((known, made), dim=1)


def spectral_pass(vocoder: FARGAN, features: Tensor, target: Tensor, config: VocoderConfig, reduce: Reduce) -> Judged:
    """Losses of a spectral step: multi-resolution spectra and continuation."""
    whole = speak(vocoder, features, target)
    after = KNOWN_FRAMES * FRAME
    spectral = root_stft_loss(whole, target, reduce=reduce)
    continuation = continuation_loss(whole[:, after:], target[:, after:], reduce)
    total = spectral + config.continuation_weight * continuation
    parts = {"spectral": spectral.detach(), "continuation": continuation.detach()}
    return Judged(total, parts, whole.detach())


def adversarial_pass(
    vocoder: FARGAN, critic: Critic, features: Tensor, target: Tensor, config: VocoderConfig, reduce: Reduce
) -> Judged:
    """Losses of an adversarial step: spectra, feature matching and the GAN's.

    The discriminators' parameters get no gradient: they must be frozen by the caller.
    """
    whole = speak(vocoder, features, target)
    spectral = root_stft_loss(whole, target, reduce=reduce)
    verdicts = critic(whole)
    with torch.no_grad():
        truth = critic(target)
    gan = generator_loss(verdicts, GanLoss(config.gan_loss), reduce)
    matching = feature_matching_loss(truth, verdicts, reduce)
    total = config.spectral_weight * spectral + config.matching_weight * matching + gan
    parts = {"spectral": spectral.detach(), "matching": matching.detach(), "gan": gan.detach()}
    return Judged(total, parts, whole.detach())
