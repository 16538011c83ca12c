"""Patterns of band envelopes, as ESTOI compares them."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
import torch

from aether_lite.audio import read_audio
from aether_lite.features import extract_features
from aether_lite.features.layout import cepstra_of_bands, log_bands
from aether_lite.losses.feature import BANDS, SEGMENT, envelope_loss


@pytest.fixture(scope="module")
def speech() -> torch.Tensor:
    """Features of a bundled clip, ``[1, F, 20]``."""
    path = Path(str(files("aether_lite") / "assets" / "samples" / "en_f_intro.flac"))
    return torch.from_numpy(extract_features(read_audio(path))[None, :400, :20].astype(np.float32))


def with_bands(rows: torch.Tensor, bands: torch.Tensor) -> torch.Tensor:
    return torch.cat([cepstra_of_bands(bands), rows[..., 18:]], dim=-1)


def test_the_same_speech_has_no_loss_at_any_level_or_tone(speech: torch.Tensor) -> None:
    assert envelope_loss(speech, speech).item() == pytest.approx(0.0, abs=1e-5)
    bands = log_bands(speech)
    tone = torch.linspace(-0.3, 0.3, 18)  # a gain for each band
    assert envelope_loss(with_bands(speech, bands + 0.7 + tone), speech).item() == pytest.approx(0.0, abs=1e-3)


def test_noise_costs_more_the_louder_it_is_and_unrelated_speech_about_one(speech: torch.Tensor) -> None:
    noise = torch.randn((*speech.shape[:-1], 18), generator=torch.Generator().manual_seed(0))
    losses = [envelope_loss(with_bands(speech, log_bands(speech) + s * noise), speech).item() for s in (0.1, 0.3, 1.0)]
    assert 0 < losses[0] < losses[1] < losses[2] < 1
    assert envelope_loss(speech[:, 200:], speech[:, :200]).item() == pytest.approx(1.0, abs=0.25)


def test_bands_above_and_silence_are_not_heard(speech: torch.Tensor) -> None:
    bands = log_bands(speech)
    high = bands.clone()
    high[..., BANDS:] += 1.0
    assert envelope_loss(with_bands(speech, high), speech).item() == pytest.approx(0.0, abs=1e-5)
    quiet = bands.clone()
    quiet[:, 200:] = -2.0  # a second half of silence, other in the decoded speech
    wrong = quiet.clone()
    wrong[:, 260:] += torch.randn(140, 18, generator=torch.Generator().manual_seed(1)).abs()
    assert envelope_loss(with_bands(speech, wrong), with_bands(speech, quiet)).item() == pytest.approx(0.0, abs=1e-4)


def test_gradient_is_finite_in_digital_silence_too(speech: torch.Tensor) -> None:
    for original in (speech, with_bands(speech, torch.full_like(log_bands(speech), -2.0))):
        decoded = (original + 0.05 * torch.randn_like(original)).requires_grad_()
        envelope_loss(decoded, original).sum().backward()
        assert decoded.grad is not None
        assert torch.isfinite(decoded.grad).all()
        assert decoded.grad[..., 18:].abs().sum() == 0


def test_what_does_not_fit_is_an_error(speech: torch.Tensor) -> None:
    with pytest.raises(ValueError, match="F >= 38"):
        envelope_loss(speech[:, : SEGMENT - 1], speech[:, : SEGMENT - 1])
    with pytest.raises(ValueError, match="one shape"):
        envelope_loss(speech, speech[:, :100])
