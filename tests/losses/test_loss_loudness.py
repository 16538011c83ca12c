"""Level-weighted error of Bark bands."""

from __future__ import annotations

import pytest
import torch

from aether_lite.features.layout import cepstra_of_bands, log_bands
from aether_lite.losses.feature import LEVEL_SLOPE, feature_loss_parts, loudness_loss


def rows(bands: torch.Tensor) -> torch.Tensor:
    """Features ``[..., F, 20]`` with the log10 band energies ``[..., F, 18]``."""
    return torch.cat([cepstra_of_bands(bands), torch.zeros(*bands.shape[:-1], 2)], dim=-1)


def test_bands_and_cepstra_are_each_others_inverse() -> None:
    bands = 3 * torch.randn(2, 5, 18, generator=torch.Generator().manual_seed(3))
    torch.testing.assert_close(log_bands(rows(bands)), bands, rtol=1e-5, atol=1e-5)


def test_an_error_counts_by_the_level_of_its_cell() -> None:
    bands = torch.zeros(1, 10, 18)
    bands[0, 4, 7] = 5.0  # the loudest cell; all others 50 dB below
    loud, quiet = bands.clone(), bands.clone()
    loud[0, 4, 7] += 0.5
    quiet[0, 3, 7] += 0.5
    weights = 1 + (10 * 18 - 1) * 10 ** (-5 * LEVEL_SLOPE)
    assert loudness_loss(rows(loud), rows(bands)).item() == pytest.approx(0.25 / weights, rel=1e-4)
    assert loudness_loss(rows(quiet), rows(bands)).item() == pytest.approx(0.25 / weights * 0.01, rel=1e-3)


def test_without_slope_it_is_the_cepstral_term_of_the_feature_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = torch.Generator().manual_seed(0)
    x, y = (torch.randn(3, 20, 20, generator=generator) for _ in range(2))
    monkeypatch.setattr("aether_lite.losses.feature.LEVEL_SLOPE", 0.0)
    torch.testing.assert_close(loudness_loss(x, y), feature_loss_parts(x, y).cepstrum)


def test_louder_or_softer_speech_has_the_same_loss_for_the_same_errors() -> None:
    generator = torch.Generator().manual_seed(1)
    x, y = (torch.randn(2, 20, 20, generator=generator) for _ in range(2))
    gain = torch.zeros(20)
    gain[0] = 3.0
    torch.testing.assert_close(loudness_loss(x + gain, y + gain), loudness_loss(x, y), rtol=1e-4, atol=1e-6)


def test_gradient_reaches_the_decoded_features_only_through_the_error() -> None:
    generator = torch.Generator().manual_seed(2)
    decoded, original = (torch.randn(1, 8, 20, generator=generator).requires_grad_() for _ in range(2))
    loudness_loss(decoded, original).sum().backward()
    assert decoded.grad is not None
    assert original.grad is not None
    torch.testing.assert_close(decoded.grad, -original.grad)
    assert decoded.grad[..., 18:].abs().sum() == 0
    assert decoded.grad[..., :18].abs().min() > 0


def test_what_does_not_fit_is_an_error() -> None:
    with pytest.raises(ValueError, match="one shape"):
        loudness_loss(torch.zeros(1, 4, 20), torch.zeros(1, 5, 20))
