"""Losses on decoded features: deltas, F0 contour, voicing, silence."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from aether_lite.features import extract_features
from aether_lite.features.layout import log_bands
from aether_lite.losses.f0 import (
    LEAST_SPREAD,
    SPREAD_KEPT,
    contour_moments,
    f0_correlation,
    f0_correlation_loss,
    f0_spread_loss,
)
from aether_lite.losses.feature import delta_feature_loss, feature_loss, voicing_loss
from aether_lite.losses.semantic import frame_level, silence_loss


def contour(values: Tensor, voicing: float = 0.4) -> Tensor:
    """Features ``[1, F, 20]`` with a pitch column."""
    features = torch.zeros(1, len(values), 20, dtype=values.dtype)
    features[0, :, 18] = values
    features[0, :, 19] = voicing
    return features


def wave(frames: int, spread: float = 0.2) -> Tensor:
    """A contour of standard deviation ``spread`` [octaves] (whole periods of 40 frames)."""
    return spread * math.sqrt(2) * torch.sin(2 * math.pi * torch.arange(frames, dtype=torch.float64) / 40)


# --- deltas


def test_delta_loss_ignores_a_constant_offset(feature_batch: tuple[Tensor, Tensor]) -> None:
    original = feature_batch[1]
    assert delta_feature_loss(original + 0.3, original).abs().max() < 1e-12
    assert (feature_loss(original + 0.3, original) > 0.05).all()


def test_delta_loss_of_one_jump() -> None:
    original = contour(torch.zeros(11, dtype=torch.float64), voicing=0.5)
    decoded = original.clone()
    decoded[:, 5:, 0] += 2.0  # one step of 2 in one of 18 cepstra
    decoded[:, 5:, 18] += 0.1
    decoded[:, 5:, 19] -= 0.3
    for column, cost in ((0, 4 / 18 / 10), (18, 3 * 10 / 18 * 2 * 0.1 / 10), (19, 0.09 / 18 / 10)):
        alone = original.clone()
        alone[..., column] = decoded[..., column]
        assert delta_feature_loss(alone, original).item() == pytest.approx(cost)
    assert delta_feature_loss(decoded[:, :5], original[:, :5]) == 0


def test_delta_loss_wants_two_frames() -> None:
    with pytest.raises(ValueError, match="F >= 2"):
        delta_feature_loss(torch.zeros(1, 1, 20), torch.zeros(1, 1, 20))


def test_feature_terms_have_gradients(feature_batch: tuple[Tensor, Tensor]) -> None:
    decoded, original = feature_batch[0].clone().requires_grad_(), feature_batch[1]
    losses = {"delta": delta_feature_loss(decoded, original).mean(), "feature": feature_loss(decoded, original).mean()}
    for name, loss in losses.items():
        gradient = torch.autograd.grad(loss, decoded, retain_graph=True)[0]
        assert torch.isfinite(gradient).all(), name
        assert (gradient.abs().sum((0, 1)) > 0).all(), name


# --- F0 contour


@settings(deadline=None, max_examples=40)
@given(frames=st.integers(12, 2000), offset=st.floats(-0.5, 0.5), scale=st.floats(0.3, 3.0))
def test_identical_contours_correlate_fully_whatever_the_length(frames: int, offset: float, scale: float) -> None:
    original = contour(0.2 * torch.sin(torch.arange(frames, dtype=torch.float64)))
    assert abs(f0_correlation_loss(original, original).item()) < 1e-9
    moved = contour(offset + scale * original[0, :, 18])
    assert abs(f0_correlation_loss(moved, original).item()) < 1e-9


def test_correlation_of_known_contours() -> None:
    time = 2 * math.pi * torch.arange(400, dtype=torch.float64) / 40
    original, mirrored = contour(0.3 * time.sin()), contour(-0.3 * time.sin())
    assert f0_correlation_loss(mirrored, original).item() == pytest.approx(2)
    assert f0_correlation_loss(contour(0.3 * time.cos()), original).item() == pytest.approx(1)
    mixed = contour(0.3 * (0.6 * time.sin() + 0.8 * time.cos()))
    assert f0_correlation_loss(mixed, original).item() == pytest.approx(0.4)


def test_correlation_is_over_frames_voiced_in_the_original(feature_batch: tuple[Tensor, Tensor]) -> None:
    decoded, original = feature_batch
    voiced = original[..., 19] > 0.1
    spoilt = decoded.clone()
    spoilt[..., 18] = torch.where(voiced, decoded[..., 18], 9.0)
    spoilt[..., 19] = -0.5
    assert f0_correlation_loss(spoilt, original) == f0_correlation_loss(decoded, original)
    moments = contour_moments(decoded, original)
    for item in range(4):
        pair = torch.stack((decoded[item, voiced[item], 18], original[item, voiced[item], 18]))
        if moments.counted[item]:
            assert f0_correlation(moments)[item].item() == pytest.approx(torch.corrcoef(pair)[0, 1].item(), abs=1e-9)
    assert moments.counted.sum() >= 2


def test_items_without_a_contour_do_not_count() -> None:
    lively = contour(wave(80))
    flat, unvoiced = contour(torch.zeros(80).double()), contour(wave(80), voicing=-0.3)
    batch = torch.cat((lively, flat, unvoiced))
    decoded = contour(0.6 * wave(80) + 0.8 * wave(90)[10:]).expand(3, -1, -1)
    assert contour_moments(decoded, batch).counted.tolist() == [True, False, False]
    for loss in (f0_correlation_loss, f0_spread_loss):
        assert loss(decoded, batch) == loss(decoded[:1], lively)
        assert loss(decoded[1:], batch[1:]) == 0
    assert not contour_moments(decoded[:, :9], batch[:, :9]).counted.any()


def test_a_flat_contour_is_drawn_towards_the_original() -> None:
    original = contour(wave(80))
    decoded = contour(torch.zeros(80).double()).requires_grad_()
    loss = f0_correlation_loss(decoded, original)
    assert loss == 1
    gradient = torch.autograd.grad(loss, decoded)[0][0, :, 18]
    expected = -wave(80) / (80 * LEAST_SPREAD * 0.2)
    assert (gradient - expected).abs().max() < 1e-9


def test_spread_floor() -> None:
    original = contour(wave(80, 0.2))
    assert f0_spread_loss(original, original) == 0
    assert f0_spread_loss(contour(wave(80, 0.185)), original) == 0
    half = f0_spread_loss(contour(wave(80, 0.1)), original).item()
    assert half == pytest.approx(SPREAD_KEPT * 0.2 - 0.1, abs=1e-5)


@pytest.mark.parametrize("loss", [f0_correlation_loss, f0_spread_loss])
def test_contour_losses_reach_only_the_decoded_pitch(loss) -> None:
    original = contour(wave(60))
    decoded = contour(0.3 * wave(60) + 0.02 * torch.cos(torch.arange(60).double() ** 2)).requires_grad_()
    gradient = torch.autograd.grad(loss(decoded, original), decoded)[0]
    assert torch.isfinite(gradient).all()
    assert (gradient[0, :, 18] != 0).all()
    assert (gradient[..., :18] == 0).all()
    assert (gradient[..., 19] == 0).all()

    def of_pitch(pitch: Tensor) -> Tensor:
        return loss(torch.cat((decoded.detach()[..., :18], pitch, decoded.detach()[..., 19:]), -1), original)

    assert torch.autograd.gradcheck(of_pitch, (decoded.detach()[..., 18:19].clone().requires_grad_(),))


def test_contour_losses_stay_finite_on_exactly_flat_contours() -> None:
    decoded = contour(torch.full((60,), 0.3).double()).requires_grad_()
    (f0_correlation_loss(decoded, contour(wave(60))) + f0_spread_loss(decoded, contour(wave(60)))).backward()
    assert torch.isfinite(decoded.grad).all()


# --- voicing


def test_voicing_loss_of_known_decisions() -> None:
    original = contour(torch.zeros(10), voicing=0.4)
    assert voicing_loss(contour(torch.zeros(10), voicing=0.1), original).item() == pytest.approx(math.log(2))
    right, wrong = (voicing_loss(contour(torch.zeros(10), voicing=v), original).item() for v in (0.4, -0.4))
    assert right == pytest.approx(math.log1p(math.exp(-3)), rel=1e-5)
    assert wrong == pytest.approx(5 + math.log1p(math.exp(-5)), rel=1e-5)


def test_voicing_loss_reaches_only_the_decoded_correlation(feature_batch: tuple[Tensor, Tensor]) -> None:
    decoded = feature_batch[0].clone().requires_grad_()
    voicing_loss(decoded, feature_batch[1]).sum().backward()
    assert (decoded.grad[..., 19] != 0).all()
    assert (decoded.grad[..., :19] == 0).all()


# --- silence


def test_frame_level_is_that_of_the_audio() -> None:
    generator = torch.Generator().manual_seed(5)
    noise = torch.randn(32000, generator=generator, dtype=torch.float64)
    time = torch.arange(32000, dtype=torch.float64) / 16000
    speech_like = sum(torch.cos(2 * math.pi * 150 * h * time + h * h) / h for h in range(1, 30))
    for signal in (noise, torch.cos(2 * math.pi * 1000 * time), speech_like):
        for target in (-20.0, -50.0):
            scaled = signal / signal.square().mean().sqrt() * 10 ** (target / 20)
            level = frame_level(torch.from_numpy(extract_features(scaled.numpy()))[10:-10])
            assert level.mean().item() == pytest.approx(target, abs=1.0)


def test_frame_level_follows_speech(features: Tensor, speech: Tensor) -> None:
    window = torch.hann_window(320)
    framed = torch.nn.functional.pad(speech, (160, 0)).unfold(0, 320, 160)[: len(features)] * window
    measured = 10 * torch.log10(framed.square().sum(-1) / window.square().sum() + 1e-12)
    loud = measured > -50
    assert (frame_level(features)[loud] - measured[loud]).abs().median() < 1.0


def test_digital_silence_has_the_stated_level() -> None:
    features = torch.zeros(1, 20)
    features[0, 0] = -2 * math.sqrt(18) - 4
    assert frame_level(features).item() == pytest.approx(-83, abs=0.5)


def silent(frames: int) -> Tensor:
    features = torch.zeros(1, frames, 20, dtype=torch.float64)
    features[..., 0] = -2 * math.sqrt(18) - 4
    return features


def test_silence_loss_of_known_excess(features: Tensor) -> None:
    original = torch.cat((silent(30), features[None, 100:130].double()), dim=1)
    louder = original.clone()
    louder[..., 0] += math.sqrt(18)  # 10 dB in every band, loud frames too
    assert (log_bands(louder) - log_bands(original) - 1).abs().max() < 1e-9
    assert silence_loss(louder, original).item() == pytest.approx(1)
    quieter = original.clone()
    quieter[..., 0] -= 1
    assert silence_loss(quieter, original) == 0
    assert silence_loss(louder[:, 30:], original[:, 30:]) == 0


def test_silence_loss_reaches_cepstra_of_silent_frames() -> None:
    original = torch.cat((silent(5), silent(5)), dim=1)
    original[:, 5:, 0] = 5.0
    decoded = (original + 0.5).requires_grad_()
    silence_loss(decoded, original).backward()
    assert (decoded.grad[0, :5, :18].abs().sum(0) > 0).all()
    assert (decoded.grad[0, 5:] == 0).all()
    assert (decoded.grad[..., 18:] == 0).all()


@pytest.mark.parametrize("loss", [f0_correlation_loss, f0_spread_loss, silence_loss])
def test_shapes_are_checked(loss) -> None:
    with pytest.raises(ValueError, match=r"\[B, F, 20\]"):
        loss(torch.zeros(2, 5, 20), torch.zeros(2, 6, 20))
