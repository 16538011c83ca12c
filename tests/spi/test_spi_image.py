"""The speech image: invertible, bounded, and with Bark energies as its rows."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from aether_lite.features import bands_from_cepstrum
from aether_lite.spi import SpeechImage, bounded_pitch, bounded_voicing


def image_of(features: torch.Tensor) -> SpeechImage:
    image = SpeechImage()
    image.set_constants(features.flatten(0, 1))
    return image


def test_image_is_invertible(speech_features: torch.Tensor) -> None:
    image = image_of(speech_features)
    back = image.to_features(image(speech_features), bounded=False)
    torch.testing.assert_close(back, speech_features, atol=2e-5, rtol=0)


def test_rows_are_the_log_band_energies(speech_features: torch.Tensor) -> None:
    rows = image_of(speech_features).rows(speech_features)[..., :18]
    expected = bands_from_cepstrum(speech_features[0, :, :18].double().numpy())
    np.testing.assert_allclose(rows[0].numpy(), expected, atol=1e-5)


def test_rows_are_normalised_with_constants(speech_features: torch.Tensor) -> None:
    image = image_of(speech_features)
    flat = image(speech_features).flatten(0, 1)
    torch.testing.assert_close(flat.mean(0), torch.zeros(20), atol=1e-4, rtol=0)
    torch.testing.assert_close(flat.std(0), torch.ones(20), atol=1e-3, rtol=0)
    one_frame = speech_features[:1, :1]
    torch.testing.assert_close(image(one_frame), image(speech_features)[:1, :1])


@given(st.floats(-1e6, 1e6))
def test_pitch_and_voicing_are_bounded_smoothly(value: float) -> None:
    x = torch.tensor([value], dtype=torch.float64)
    assert bounded_pitch(x).abs() <= 1.5
    assert bounded_voicing(x).abs() <= 0.5


def test_bounds_keep_the_whole_range_and_its_gradient() -> None:
    x = torch.linspace(-2.5, 2.5, 101, dtype=torch.float64, requires_grad=True)
    pitch = bounded_pitch(x)
    assert pitch.min() < -1.3
    assert pitch.max() > 1.3
    (gradient,) = torch.autograd.grad(pitch.sum(), x)
    assert (gradient > 0).all()
    assert bounded_voicing(torch.tensor(-1.5)) < -0.49
