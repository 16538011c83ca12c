"""Validation counts noise from the power really sent."""

from __future__ import annotations

import copy

import pytest
import torch

from aether_lite.codec import SpiCodec
from aether_lite.link import LinkConfig
from aether_lite.training.codec_validation import POWER, measure


@pytest.mark.parametrize("factor", [0.25, 1.0, 2.0])
def test_noise_follows_the_power_of_the_frames_that_count(
    tiny: SpiCodec, speech_features: torch.Tensor, factor: float
) -> None:
    model = copy.deepcopy(tiny)
    assert model.latent_power is not None
    model.latent_power.set(model.latent_power.values / factor)
    mask = torch.ones(speech_features.shape[:2], dtype=torch.bool)
    mask[1, 80:] = False
    outcome = measure(model, speech_features, mask, LinkConfig("awgn", 1000, 6.0))
    kept = torch.cat((outcome.sent[0], outcome.sent[1, :10]))
    assert outcome.numbers[POWER] == pytest.approx(float(kept.abs().square().mean()), rel=1e-4)
    noise = float((outcome.received - outcome.sent).abs().square().mean())
    assert 10 * torch.log10(torch.tensor(outcome.numbers[POWER] / noise)).item() == pytest.approx(6, abs=0.15)
