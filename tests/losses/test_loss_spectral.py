"""Spectral losses on aligned audio, and the alignment itself."""

from __future__ import annotations

import math

import librosa
import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from aether_lite.features.layout import FRAME, PREEMPHASIS
from aether_lite.losses.spectral import (
    FFT_SIZES,
    MAGNITUDE_FLOOR,
    log_mel_loss,
    magnitudes,
    mel_bank,
    root_stft_loss,
    stft_losses,
)
from aether_lite.vocoder import FARGAN, periods_from_features


def noise(*shape: int, seed: int = 0) -> Tensor:
    return 0.1 * torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_equal_audio_costs_nothing() -> None:
    audio = noise(2, 4000).requires_grad_()
    losses = [*stft_losses(audio, audio.detach()), log_mel_loss(audio, audio.detach())]
    assert all(loss == 0 for loss in losses)
    sum(losses).backward()
    assert torch.isfinite(audio.grad).all()


@pytest.mark.parametrize("factor", [0.25, 2.0])
def test_losses_of_a_gain(factor: float) -> None:
    original = noise(3, 4000)
    losses = stft_losses(factor * original, original)
    assert losses.root.item() == pytest.approx(abs(1 - math.sqrt(factor)), rel=1e-3)
    assert losses.log.item() == pytest.approx(abs(math.log(factor)), rel=1e-2)
    assert losses.convergence.item() == pytest.approx(abs(1 - factor), rel=1e-4)
    assert log_mel_loss(factor * original, original).item() == pytest.approx(abs(math.log(factor)), rel=1e-3)


def test_root_loss_is_a_ratio_over_the_whole_batch() -> None:
    decoded, original = noise(2, 3000), noise(2, 3000, seed=1) * torch.tensor([[1.0], [0.01]])
    total = 0.0
    for size in FFT_SIZES:
        window = torch.hann_window(size, dtype=torch.float64)
        roots = [
            (torch.stft(a, size, size // 4, window=window, return_complex=True).abs() + MAGNITUDE_FLOOR).sqrt()
            for a in (decoded, original)
        ]
        total += ((roots[0] - roots[1]).abs().sum() / roots[1].sum()).item()
    assert stft_losses(decoded, original).root.item() == pytest.approx(total / len(FFT_SIZES), rel=1e-6)


def test_root_loss_alone_is_that_of_all_three() -> None:
    decoded, original = (noise(3, 4000, seed=s) for s in (0, 1))
    decoded.requires_grad_()
    calls: list[Tensor] = []

    def counted(value: Tensor) -> Tensor:
        calls.append(value)
        return value

    alone, together = root_stft_loss(decoded, original, reduce=counted), stft_losses(decoded, original).root
    assert len(calls) == 1
    assert torch.equal(alone, together)
    slopes = [torch.autograd.grad(loss, decoded)[0] for loss in (alone, together)]
    assert float(slopes[0].norm()) > 0
    torch.testing.assert_close(*slopes, rtol=0, atol=1e-15)
    with pytest.raises(ValueError, match="too few"):
        root_stft_loss(noise(1, 1280), noise(1, 1280))


def test_sign_and_a_pure_delay_of_a_stationary_tone_cost_nothing() -> None:
    time = torch.arange(16000, dtype=torch.float64) / 16000
    tone, later = (torch.cos(2 * math.pi * 1000 * (time - d))[None] for d in (0.0, 0.0001))
    assert stft_losses(-tone, tone).log == 0
    inner = magnitudes(tone, 640, 160)[..., 4:-4] - magnitudes(later, 640, 160)[..., 4:-4]
    assert inner.abs().max() < 1e-6


def test_silence_keeps_losses_and_gradients_finite() -> None:
    for decoded, original in ((noise(1, 3000), torch.zeros(1, 3000).double()), (torch.zeros(1, 3000), noise(1, 3000))):
        leaf = decoded.double().clone().requires_grad_()
        losses = [*stft_losses(leaf, original), log_mel_loss(leaf, original)]
        assert torch.isfinite(torch.stack(losses)).all()
        sum(losses).backward()
        assert torch.isfinite(leaf.grad).all()
    assert stft_losses(noise(1, 3000) * 0.01, torch.zeros(1, 3000).double()).convergence < 2


@pytest.mark.parametrize("part", ["root", "log", "convergence", "mel"])
def test_every_spectral_loss_has_a_true_gradient(part: str) -> None:
    original = noise(1, 700, seed=2)

    def loss(audio: Tensor) -> Tensor:
        return log_mel_loss(audio, original) if part == "mel" else getattr(stft_losses(audio, original, (160,)), part)

    decoded = noise(1, 700, seed=3).requires_grad_()
    gradient = torch.autograd.grad(loss(decoded), decoded)[0]
    assert (gradient != 0).all()
    for seed in range(3):
        direction = noise(1, 700, seed=10 + seed)
        step = 1e-6 * direction
        numeric = (loss(decoded.detach() + step) - loss(decoded.detach() - step)).item() / 2e-6
        assert numeric == pytest.approx((gradient * direction).sum().item(), rel=1e-3)


def test_half_precision_audio_is_measured_in_single() -> None:
    original = noise(1, 3000).float()
    assert stft_losses(original.bfloat16(), original).root.dtype == torch.float32


def test_windows_made_in_inference_mode_serve_training() -> None:
    with torch.inference_mode():
        magnitudes(torch.zeros(1, 999), 328, 82)
    audio = torch.randn(1, 999, requires_grad=True)
    magnitudes(audio, 328, 82).sum().backward()
    assert audio.grad is not None


def test_mel_bank_is_librosas() -> None:
    reference = librosa.filters.mel(sr=16000, n_fft=1024, n_mels=80, dtype=np.float64)
    assert np.abs(mel_bank().numpy() - reference).max() < 1e-9
    reference = librosa.filters.mel(sr=16000, n_fft=2048, n_mels=40, dtype=np.float64)
    assert np.abs(mel_bank(2048, 40).numpy() - reference).max() < 1e-9


def test_bad_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match=r"\[B, N\]"):
        stft_losses(torch.zeros(1, 3000), torch.zeros(1, 2999))
    with pytest.raises(ValueError, match="1280 samples are too few"):
        stft_losses(torch.zeros(1, 1280), torch.zeros(1, 1280))


def envelope(audio: Tensor) -> Tensor:
    """Magnitude smoothed over 5 ms, without its mean; ``[B, N]``."""
    smooth = F.avg_pool1d(audio.abs()[:, None], 81, 1, 40)[:, 0]
    return smooth - smooth.mean(1, keepdim=True)


def lag_of_best(score: dict[int, float]) -> int:
    return max(score, key=lambda lag: score[lag])


def test_vocoder_output_is_aligned_with_target(vocoder: FARGAN, features: Tensor, speech: Tensor) -> None:
    """Forward's frame for row r is speech, pre-emphasised, at [160 r - 80, 160 r + 80).

    The vocoder does not keep the waveform: envelopes and spectra are aligned, and the waveform itself just after the
    samples it is given (its sign and phases drift later).
    """
    target = torch.cat((speech[:1], speech[1:] - PREEMPHASIS * speech[:-1]))
    known, made, reach = 2, 40, 100
    starts = range(40, len(features) - made - known - 8, made)
    rows = torch.stack([features[s : s + known + made + 4] for s in starts])

    def wanted(first: int, frames: int, lag: int = 0) -> Tensor:
        """Target samples of frames that belong to rows ``first`` on, moved by ``lag``."""
        begins = [FRAME * (s + first) - FRAME // 2 + lag for s in starts]
        return torch.stack([target[b : b + FRAME * frames] for b in begins])

    output = vocoder(rows, periods_from_features(rows), made, wanted(3, known))
    lags = range(-reach, reach + 1)
    by_envelope, by_wave, by_spectrum = {}, {}, {}
    own = envelope(output)
    for lag in lags:
        moved = wanted(3 + known, made, lag)
        by_envelope[lag] = F.cosine_similarity(own.flatten(), envelope(moved).flatten(), dim=0).item()
        by_wave[lag] = F.cosine_similarity(output[:, :FRAME].flatten(), moved[:, :FRAME].flatten(), dim=0).item()
        if lag % 4 == 0:
            by_spectrum[lag] = -stft_losses(output, moved, (320,)).root.item()
    assert abs(lag_of_best(by_wave)) <= 3
    assert by_wave[lag_of_best(by_wave)] > 0.6
    assert abs(lag_of_best(by_envelope)) <= 8
    assert by_envelope[0] > 0.9
    assert abs(lag_of_best(by_spectrum)) <= 8
