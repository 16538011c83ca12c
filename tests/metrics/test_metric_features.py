"""Spectral measures and the choice of frames, against values worked out by hand."""

import math

import pytest
import torch

from aether_lite.losses.feature import feature_loss
from aether_lite.metrics import (
    FEATURE_METRICS,
    active_frames,
    band_levels,
    cepstral_rmse,
    clip_feature_loss,
    frame_levels,
    frame_mean,
    frame_quantile,
    lsd_active,
)

ROOT18 = math.sqrt(18)


def speech(clips: int = 2, frames: int = 200) -> torch.Tensor:
    """Feature-like numbers ``[clips, frames, 20]``: loud enough to be active, a third of the frames voiced."""
    generator = torch.Generator().manual_seed(0)
    features = 0.3 * torch.randn(clips, frames, 20, generator=generator)
    features[..., 0] += 8
    features[..., 18] = (features[..., 18] - 0.5).clamp(-1.5, 1.5)
    features[..., 19] = torch.where(torch.arange(frames) % 3 == 0, 0.4, -0.3)
    return features


def level(decibels: float) -> float:
    """c0 of a frame whose 18 bands all lie at this level."""
    return decibels / 10 * ROOT18 - 4


def test_feature_loss_by_hand():
    original = torch.zeros(1, 3, 20)
    original[..., 19] = torch.tensor([0.5, 0.0, -0.5])
    decoded = original.clone()
    decoded[..., 0] += 3.0  # 9 / 18
    decoded[..., 18] -= 0.1  # 3 * 10/18 * 0.2 * (1, 1/4, 0)
    decoded[..., 19] += 0.6  # 0.36 / 18
    expected = 0.5 + (1 / 3) * (1 + 0.25 + 0) / 3 + 0.02
    assert feature_loss(decoded, original).item() == pytest.approx(expected, rel=1e-6)
    assert clip_feature_loss(decoded, original).item() == pytest.approx(expected, rel=1e-6)


def test_feature_loss_takes_its_pitch_weight_from_the_original():
    sure, unsure = torch.zeros(1, 5, 20), torch.zeros(1, 5, 20)
    sure[..., 18:] = torch.tensor([0.2, 0.5])
    unsure[..., 19] = -0.5
    assert feature_loss(sure, unsure).item() == pytest.approx(1 / 18)
    assert feature_loss(unsure, sure).item() == pytest.approx(1 / 18 + 3 * 10 / 18 * 0.4)


def test_cepstrum_and_voicing_count_alike_in_both_directions():
    original = speech()
    decoded = original.clone()
    decoded[..., :18] += 0.1 * torch.randn(2, 200, 18, generator=torch.Generator().manual_seed(1))
    decoded[..., 19] -= 0.05
    assert torch.allclose(feature_loss(decoded, original), feature_loss(original, decoded), rtol=1e-5)


def test_feature_loss_has_a_gradient_in_every_column():
    decoded = (speech() + 0.01).requires_grad_()
    feature_loss(decoded, speech()).mean().backward()
    assert decoded.grad is not None
    assert (decoded.grad.abs().sum(dim=(0, 1)) > 0).all()


def test_identical_features_are_perfect():
    for name, metric in FEATURE_METRICS.items():
        perfect = 1.0 if name.startswith("f0_") else 0.0
        torch.testing.assert_close(metric(speech(), speech(), None), torch.full((2,), perfect), msg=name)


def test_padding_changes_no_metric():
    original = speech()
    decoded = original + 0.2 * torch.randn(original.shape, generator=torch.Generator().manual_seed(2))
    padding = torch.full((2, 77, 20), 3.0)
    mask = torch.cat((torch.ones(2, 200), torch.zeros(2, 77)), dim=1).bool()
    for name, metric in FEATURE_METRICS.items():
        plain = metric(decoded, original, None)
        padded = metric(torch.cat((decoded, -padding), 1), torch.cat((original, padding), 1), mask)
        single = torch.stack([metric(decoded[i], original[i], None) for i in range(2)])
        torch.testing.assert_close(padded, plain, msg=name)
        torch.testing.assert_close(single, plain, msg=name)


def test_metrics_name_the_shape_at_fault():
    for metric in FEATURE_METRICS.values():
        with pytest.raises(ValueError, match=r"\(2, 200, 19\)"):
            metric(speech()[..., :19], speech()[..., :19], None)
        with pytest.raises(ValueError, match=r"\(2, 100\)"):
            metric(speech(), speech(), torch.ones(2, 100).bool())


def test_cepstral_rmse_by_hand():
    decoded = speech()
    decoded[..., 3] += 0.6  # sqrt(0.36 / 18)
    assert cepstral_rmse(decoded, speech())[0].item() == pytest.approx(0.6 / ROOT18, rel=1e-5)


def test_band_levels_invert_the_cepstrum():
    features = torch.zeros(1, 20, dtype=torch.float64)
    features[0, 0] = level(30.0)
    torch.testing.assert_close(band_levels(features), torch.full((1, 18), 30.0, dtype=torch.float64))
    features[0, 1] = 1.0
    expected = 30 + 10 * math.sqrt(2 / 18) * math.cos(math.pi / 18 * 0.5)
    assert band_levels(features)[0, 0].item() == pytest.approx(expected)
    assert frame_levels(torch.tensor([level(30.0)] + [0.0] * 19)).item() == pytest.approx(30 + 10 * math.log10(18))


def test_three_decibels_more_are_a_distance_of_three_decibels():
    decoded = speech()
    decoded[..., 0] += 0.3 * ROOT18
    torch.testing.assert_close(lsd_active(decoded, speech()), torch.tensor([3.0, 3.0]), rtol=1e-4, atol=0)


def test_active_frames_lie_within_forty_decibels_of_the_loud_ones():
    original = torch.zeros(1, 100, 20)
    original[..., 0] = level(60.0)
    original[:, :30, 0] = level(20.5)
    original[:, 30:50, 0] = level(19.5)
    original[:, 99, 0] = level(90.0)  # one click does not move the 95th percentile
    active = active_frames(original)[0]
    assert active[:30].all()
    assert not active[30:50].any()
    assert active[50:].all()


def test_quiet_frames_count_in_the_loss_but_not_in_the_distance():
    original = torch.zeros(1, 100, 20)
    original[..., 0] = level(60.0)
    original[:, :50, 0] = level(0.0)
    decoded = original.clone()
    decoded[:, :50, 0] += 1.0
    assert lsd_active(decoded, original).item() == 0
    assert feature_loss(decoded, original).item() == pytest.approx(0.5 / 18, rel=1e-5)


def test_digital_silence_is_wholly_active():
    assert active_frames(torch.full((1, 10, 20), -2.0)).all()


@pytest.mark.parametrize("quantile", [0.0, 0.3, 0.5, 0.95, 1.0])
def test_quantiles_and_means_ignore_frames_outside_the_mask(quantile):
    values = torch.randn(3, 41, generator=torch.Generator().manual_seed(3))
    mask = torch.rand(3, 41, generator=torch.Generator().manual_seed(4)) < 0.5
    mask[2] = False
    for row in range(2):
        kept = values[row][mask[row]]
        torch.testing.assert_close(frame_quantile(values, mask, quantile)[row], torch.quantile(kept, quantile))
        torch.testing.assert_close(frame_mean(values, mask)[row], kept.mean())
    assert frame_quantile(values, mask, quantile)[2].isnan()
    assert frame_mean(values, mask)[2].isnan()
