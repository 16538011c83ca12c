"""Pitch and voicing measures, against values worked out by hand."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from aether_lite.features.layout import voiced_frames
from aether_lite.metrics import (
    f0_correlation,
    f0_hz,
    f0_spread_ratio,
    gross_pitch_error,
    pitch_fine_rms_cents,
    pitch_median_cents,
    vuv_error,
)

OCTAVES_PER_SEMITONE = 1 / 12


def sung(frames: int = 100, voiced_frames: int = 60) -> torch.Tensor:
    """``[1, frames, 20]``: a pitch that rises by an octave, voiced at first and unvoiced at the end."""
    features = torch.zeros(1, frames, 20)
    features[..., 0] = 8
    features[..., 18] = torch.linspace(-1, 0, frames)
    features[..., 19] = torch.where(torch.arange(frames) < voiced_frames, 0.3, -0.3)
    return features


def test_voicing_is_decided_at_a_correlation_of_a_tenth():
    features = torch.zeros(4, 20)
    features[:, 19] = torch.tensor([0.0999, 0.1, 0.1001, 0.5])
    assert voiced_frames(features).tolist() == [False, False, True, True]


def test_f0_is_62_hertz_and_a_half_at_the_lowest_pitch():
    features = torch.zeros(3, 20)
    features[:, 18] = torch.tensor([-1.5, -0.5, 1.5])
    torch.testing.assert_close(f0_hz(features), torch.tensor([62.5, 125.0, 500.0]))


def test_half_a_semitone_is_fifty_cents():
    decoded = sung()
    decoded[..., 18] += 0.5 * OCTAVES_PER_SEMITONE
    assert pitch_median_cents(decoded, sung()).item() == pytest.approx(50, rel=1e-4)
    assert pitch_fine_rms_cents(decoded, sung()).item() == pytest.approx(50, rel=1e-4)
    assert gross_pitch_error(decoded, sung()).item() == 0


def test_an_octave_error_is_gross_and_leaves_the_fine_error_alone():
    decoded = sung()
    decoded[:, :60, 18] -= 0.01  # 12 cents
    decoded[:, :6, 18] -= 1.0
    assert gross_pitch_error(decoded, sung()).item() == pytest.approx(0.1)
    assert pitch_fine_rms_cents(decoded, sung()).item() == pytest.approx(12, rel=1e-3)
    assert pitch_median_cents(decoded, sung()).item() == pytest.approx(12, rel=1e-3)


def test_pitch_of_unvoiced_or_quiet_frames_does_not_count():
    original = sung()
    original[:, :20, 0] = -10  # far below the rest
    decoded = original.clone()
    decoded[:, 60:, 18] += 1
    decoded[:, :20, 18] += 1
    decoded[:, :20, 19] = -0.3
    assert pitch_median_cents(decoded, original).item() == 0
    assert gross_pitch_error(decoded, original).item() == 0
    assert vuv_error(decoded, original).item() == 0


def test_voicing_flips_are_counted_in_both_directions():
    decoded = sung()
    decoded[:, :7, 19] = -0.2
    decoded[:, 95:, 19] = 0.2
    assert vuv_error(decoded, sung()).item() == pytest.approx(0.12)


def test_correlation_sees_the_shape_of_the_contour_only():
    decoded = sung()
    decoded[..., 18] = 0.5 * decoded[..., 18] - 0.3
    assert f0_correlation(decoded, sung()).item() == pytest.approx(1)
    decoded[..., 18] *= -1
    assert f0_correlation(decoded, sung()).item() == pytest.approx(-1)


def test_correlation_is_taken_where_both_are_voiced():
    decoded = sung()
    decoded[:, :10, 18] = 1.4
    decoded[:, :10, 19] = -0.3
    decoded[:, 60:, 18] = -1.4
    decoded[:, 60:, 19] = 0.3
    assert f0_correlation(decoded, sung()).item() == pytest.approx(1)


def test_correlation_is_independent_of_length():
    noise = 0.2 * torch.randn(1, 100, generator=torch.Generator().manual_seed(0))
    decoded = sung()
    decoded[..., 18] += noise
    once = f0_correlation(decoded, sung())
    assert 0.3 < once.item() < 0.95
    torch.testing.assert_close(f0_correlation(decoded.repeat(1, 7, 1), sung().repeat(1, 7, 1)), once)


def test_spread_ratio_by_hand():
    original, decoded = sung(), sung()
    original[:, :60, 18] = torch.tensor([-1.5, -0.5]).repeat(30)  # 62.5 and 125 Hz: 31.25 Hz
    decoded[:, :60, 18] = torch.tensor([-0.5, 0.5]).repeat(30)  # 125 and 250 Hz: 62.5 Hz
    assert f0_spread_ratio(decoded, original).item() == pytest.approx(2)
    decoded[..., 18] = -0.5
    assert f0_spread_ratio(decoded, original).item() == 0


def test_undefined_is_nan_and_not_a_number_that_looks_good():
    silent, flat = sung(voiced_frames=0), sung()
    flat[..., 18] = -0.4
    for metric in (pitch_median_cents, gross_pitch_error, pitch_fine_rms_cents, f0_correlation, f0_spread_ratio):
        assert metric(silent, silent).isnan().all()
    assert f0_correlation(flat, sung()).isnan().all()
    assert f0_correlation(sung(voiced_frames=1), sung()).isnan().all()
    assert f0_spread_ratio(sung(), flat).isnan().all()
    assert vuv_error(silent, silent).item() == 0


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 60), st.integers(0, 10_000))
def test_metrics_stay_in_their_ranges(frames, seed):
    generator = torch.Generator().manual_seed(seed)
    decoded, original = torch.randn(2, 1, frames, 20, generator=generator)
    for metric, low, high in ((vuv_error, 0, 1), (gross_pitch_error, 0, 1), (f0_correlation, -1, 1)):
        value = metric(decoded, original).item()
        assert value != value or low <= value <= high
    fine = pitch_fine_rms_cents(decoded, original).item()
    assert fine != fine or 0 <= fine <= 316.01
