"""Soft YIN against tones of known frequency, hard YIN and numerical gradients."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from aether_lite.features.yin import yin
from aether_lite.losses.f0 import f0_audio_loss, soft_yin
from aether_lite.vocoder import FARGAN, deemphasize, periods_from_features

FREQUENCIES = torch.from_numpy(np.geomspace(70, 400, 40))
TIMBRES = {
    "pure": lambda h: 1.0 * (h == 1),
    "pulses": lambda h: 1.0 + 0 * h,
    "falling": lambda h: 1.0 / h,
    "steep": lambda h: 1.0 / h**2,
    "missing fundamental": lambda h: 1.0 * ((h >= 2) & (h <= 6)),
    "strong second": lambda h: torch.where(h == 2, 1.0, 0.3),
}


def tones(frequency: Tensor, timbre: str = "falling", samples: int = 3200, top: float = 3500.0) -> Tensor:
    """Harmonic tones ``[B, N] float64`` of rms 0.1, phases random, of frequencies ``[B]`` [Hz]."""
    harmonic = torch.arange(1, 60, dtype=torch.float64)
    phase = 2 * math.pi * torch.rand(59, generator=torch.Generator().manual_seed(7), dtype=torch.float64)
    time = torch.arange(samples, dtype=torch.float64) / 16000
    amplitude = TIMBRES[timbre](harmonic) * (harmonic * frequency[:, None] < top)
    angle = 2 * math.pi * (harmonic * frequency[:, None])[..., None] * time + phase[:, None]
    signal = (amplitude[..., None] * torch.cos(angle)).sum(1)
    return 0.1 * signal / signal.square().mean(1, keepdim=True).sqrt()


def inner(values: Tensor) -> Tensor:
    """Frames whose samples lie within the clip."""
    return values[:, 2:-2]


@pytest.mark.parametrize("timbre", TIMBRES)
@pytest.mark.parametrize("top", [1500.0, 7000.0])
def test_tones_within_one_percent(timbre: str, top: float) -> None:
    found = soft_yin(tones(FREQUENCIES, timbre, top=top).float())
    error = (inner(found.f0) / FREQUENCIES[:, None] - 1).abs()
    assert error.max() < 0.01, FREQUENCIES[error.amax(1).argmax()]
    assert inner(found.periodicity).min() > 0.9


def test_agrees_with_hard_yin_on_tones() -> None:
    audio = tones(FREQUENCIES)
    hard = torch.stack([torch.from_numpy(yin(item.numpy())) for item in audio])
    soft = soft_yin(audio).f0
    assert soft.shape == hard.shape
    assert (inner(soft) / inner(hard) - 1).abs().max() < 0.01


def test_agrees_with_hard_yin_on_speech(speech: Tensor, features: Tensor) -> None:
    hard = torch.from_numpy(yin(speech.numpy()))[: len(features)]
    soft = soft_yin(speech[None], num_frames=len(features)).f0[0]
    octaves = torch.log2(soft / hard).abs()[features[:, 19] > 0.3]
    assert (octaves > 0.26).float().mean() < 0.02
    assert octaves.median() < 0.02


def test_noise_and_silence_are_not_periodic() -> None:
    noise = 0.1 * torch.randn(1, 8000, generator=torch.Generator().manual_seed(1))
    assert soft_yin(noise).periodicity.mean() < 0.4
    silence = soft_yin(torch.zeros(1, 8000, requires_grad=True))
    assert silence.periodicity.max() < 1e-3
    assert torch.isfinite(silence.f0).all()
    assert 62.5 <= silence.f0.min() <= silence.f0.max() <= 500


def test_level_does_not_matter() -> None:
    audio = tones(FREQUENCIES[::8]).float()
    assert (soft_yin(audio).f0 / soft_yin(0.01 * audio).f0 - 1).abs().max() < 1e-3


def test_frames_are_centred_where_stated() -> None:
    click = torch.zeros(1, 3200)
    click[0, 1600:] = tones(torch.tensor([200.0]), samples=1600)[0]
    assert soft_yin(click).f0.shape == (1, 21)
    assert soft_yin(click, centre=80).f0.shape == (1, 20)
    frames = soft_yin(click, centre=80).periodicity[0]
    moved = soft_yin(click[:, 80:]).periodicity[0]
    assert (frames[3:17] - moved[3:17]).abs().max() < 1e-5
    assert frames[7] < 1e-3  # its samples end at 80 + 160 * 7 + 320 < 1600
    assert frames[12] > 0.9  # and here they begin at 1680


def test_items_do_not_depend_on_their_batch() -> None:
    audio = tones(FREQUENCIES, samples=6400).float()
    whole = soft_yin(audio).f0
    assert (torch.cat([soft_yin(item[None]).f0 for item in audio]) / whole - 1).abs().max() < 1e-5


def test_around_finds_the_dip_near_the_label() -> None:
    audio = tones(torch.tensor([200.0], dtype=torch.float64))
    for label in (100.0, 200.0, 240.0):
        around = torch.full((1, 21), math.log2(label / 62.5) - 1.5)
        found = inner(soft_yin(audio, around=around).f0)
        assert (found / (100.0 if label == 100 else 200.0) - 1).abs().max() < 0.01
    for extreme in (-9.0, 9.0):
        assert torch.isfinite(soft_yin(audio, around=torch.full((1, 21), extreme)).f0).all()


@pytest.mark.parametrize("restricted", [False, True])
def test_gradient_is_that_of_differences(restricted: bool) -> None:
    noise = torch.randn(2, 640, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    audio = (tones(torch.tensor([130.0, 210.0]), samples=640) + 0.01 * noise).requires_grad_()
    label = torch.log2(torch.tensor([[120.0], [220.0]], dtype=torch.float64) / 62.5) - 1.5
    around = label.expand(2, 3) if restricted else None

    def estimate(x: Tensor) -> tuple[Tensor, Tensor]:
        found = soft_yin(x, centre=160, num_frames=3, around=around)
        return torch.log2(found.f0), found.periodicity

    generator = torch.Generator().manual_seed(4)
    for which in (0, 1):
        values = estimate(audio)[which]
        pick = torch.randn(values.shape, generator=generator, dtype=torch.float64)
        gradient = torch.autograd.grad((values * pick).sum(), audio)[0]
        assert (gradient != 0).float().mean() > 0.9
        for _ in range(4):
            step = 1e-7 * torch.randn(audio.shape, generator=generator, dtype=torch.float64)
            up, down = (estimate(audio.detach() + sign * step)[which] for sign in (1, -1))
            numeric = ((up - down) / 2 * pick).sum().item()
            assert numeric == pytest.approx((gradient * step).sum().item(), rel=1e-4)


def test_gradcheck_on_a_small_signal() -> None:
    audio = tones(torch.tensor([180.0]), samples=400).requires_grad_()
    assert torch.autograd.gradcheck(
        lambda x: soft_yin(x, centre=200, num_frames=1).f0.log2(), (audio,), fast_mode=True, eps=1e-7, atol=1e-5
    )


def pitch_of(frequency: float, frames: int) -> Tensor:
    return torch.full((1, frames), math.log2(frequency / 62.5) - 1.5)


def test_audio_loss_of_a_known_error() -> None:
    audio = tones(torch.tensor([200.0])).float()
    voiced = torch.ones(1, 20)
    assert f0_audio_loss(audio, pitch_of(200, 20), voiced).item() < 0.002
    assert f0_audio_loss(audio, pitch_of(230, 20), voiced).item() == pytest.approx(math.log2(1.15), abs=0.003)
    mixed = torch.cat((pitch_of(230, 10), pitch_of(200, 10)), 1)
    assert f0_audio_loss(audio, mixed, torch.arange(20)[None] >= 10).item() < 0.002
    assert f0_audio_loss(audio, mixed, torch.zeros(1, 20)) == 0


def test_audio_loss_lowers_the_pitch_error() -> None:
    """A few steps down the gradient bring the tone to the label."""
    audio = tones(torch.tensor([200.0]), samples=1600).float().requires_grad_()
    label, voiced = pitch_of(206, 10), torch.ones(1, 10)
    first = f0_audio_loss(audio, label, voiced).item()
    for _ in range(60):
        gradient = torch.autograd.grad(f0_audio_loss(audio, label, voiced), audio)[0]
        audio = (audio - 0.1 * gradient / gradient.norm()).detach().requires_grad_()
    assert f0_audio_loss(audio, label, voiced).item() < 0.3 * first


def test_gradient_reaches_features_through_the_vocoder(vocoder: FARGAN, features: Tensor) -> None:
    start = int((features[:, 19] > 0.3).float().unfold(0, 16, 1).mean(1).argmax())
    rows = features[None, start : start + 16].clone().requires_grad_()
    output = vocoder(rows, periods_from_features(rows.detach()), 12)
    output.retain_grad()
    label = rows.detach()[:, 3:15, 18] + 0.1
    loss = f0_audio_loss(deemphasize(output), label, rows.detach()[:, 3:15, 19] > 0.1)
    assert loss > 0
    loss.backward()
    for gradient in (output.grad, rows.grad):
        assert torch.isfinite(gradient).all()
        assert gradient.abs().sum() > 0
    assert (rows.grad[0, 4:14].abs().sum(0) > 0).all()  # every column


def test_bad_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match=r"\[B, N\]"):
        soft_yin(torch.zeros(100))
    with pytest.raises(ValueError, match="centre"):
        soft_yin(torch.zeros(1, 1000), centre=400)
    with pytest.raises(ValueError, match="around"):
        soft_yin(torch.zeros(1, 1600), around=torch.zeros(1, 5))
    with pytest.raises(ValueError, match="labels"):
        f0_audio_loss(torch.zeros(1, 1600), torch.zeros(1, 10), torch.zeros(1, 9))
