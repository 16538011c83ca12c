"""Spectral distances of audio, and symbols, against values worked out by hand and the batch losses."""

import math

import pytest
import torch

from aether_lite.losses.spectral import log_mel_loss, stft_losses
from aether_lite.metrics import log_mel_distance, log_spectral_distance, multi_resolution_stft
from aether_lite.payload import papr_db

DISTANCES = (log_mel_distance, multi_resolution_stft, log_spectral_distance)


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return 0.1 * torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_a_gain_costs_its_logarithm():
    original = noise(2, 3, 8000)
    quieter = 10 ** (-6 / 20) * original
    torch.testing.assert_close(log_spectral_distance(quieter, original), torch.full((2, 3), 6.0), atol=1e-3, rtol=0)
    nepers = 6 / 20 * math.log(10)
    torch.testing.assert_close(log_mel_distance(quieter, original), torch.full((2, 3), nepers), atol=1e-3, rtol=0)
    wanted = nepers + 1 - 10 ** (-6 / 20)
    torch.testing.assert_close(multi_resolution_stft(quieter, original), torch.full((2, 3), wanted), atol=5e-3, rtol=0)


def test_log_spectral_distance_counts_active_frames_only():
    original = noise(16_000)
    original[8000:] *= 1e-3  # 60 dB below
    decoded = original.clone()
    decoded[9000:] *= 10
    assert log_spectral_distance(decoded, original).item() == 0


def test_distances_are_those_of_the_losses_clip_by_clip():
    decoded, original = noise(3, 4000), noise(3, 4000, seed=1)
    original *= torch.tensor([[1.0], [0.1], [3.0]])
    for row in range(3):
        pair = decoded[row : row + 1], original[row : row + 1]
        losses = stft_losses(*pair)
        found = [metric(decoded, original)[row].item() for metric in (log_mel_distance, multi_resolution_stft)]
        assert found == pytest.approx([log_mel_loss(*pair).item(), (losses.log + losses.convergence).item()])
    assert log_mel_distance(decoded, original).mean().item() == pytest.approx(log_mel_loss(decoded, original).item())


@pytest.mark.parametrize("metric", DISTANCES)
def test_the_same_is_at_no_distance_and_too_short_is_nan(metric, speech):
    original = torch.from_numpy(speech)
    assert metric(original, original).tolist() == [0, 0]
    assert (metric(original.flip(0), original) > 0.1).all()
    assert metric(original[:, :100], original[:, :100]).isnan().all()
    assert metric(original[:0], original[:0]).shape == (0,)
    assert metric(original[:0, :0], original[:0, :0]).shape == (0,)
    with pytest.raises(ValueError, match=r"\(2, 48000\) and \(48000,\)"):
        metric(original, original[0])


def test_silence_for_speech_is_far_but_finite(speech):
    original = torch.from_numpy(speech)
    for metric in DISTANCES:
        assert metric(torch.zeros_like(original), original).isfinite().all()


def test_papr_of_known_constellations():
    qpsk = torch.tensor([1 + 1j, 1 - 1j, -1 + 1j, -1 - 1j])
    points = torch.tensor([-3.0, -1.0, 1.0, 3.0])
    qam16 = torch.complex(*torch.meshgrid(points, points, indexing="ij")).reshape(-1)
    assert papr_db(qpsk) == pytest.approx(0, abs=1e-6)
    assert papr_db(qam16) == pytest.approx(10 * math.log10(18 / 10))
