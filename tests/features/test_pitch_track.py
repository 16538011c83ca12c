"""The pitch tracker and hard YIN."""

from __future__ import annotations

from importlib.resources import files

import numpy as np
import pytest
import soundfile

from aether_lite.features import PITCH, VOICING, extract_features, f0_from_pitch, yin
from aether_lite.features.layout import VOICED_ABOVE, real_period
from aether_lite.features.pitch import CONTOUR_REST, UNVOICED_REACH, VoicedContour

CLIPS = ("en_f_intro", "en_f_queue", "es_f_intro", "fr_f_intro", "it_m_intro", "ru_f_intro")


@pytest.fixture(scope="module", params=CLIPS)
def clip(request):
    with (files("aether_lite") / "assets" / "samples" / f"{request.param}.flac").open("rb") as file:
        samples, rate = soundfile.read(file, dtype="float32")
    assert rate == 16_000
    return samples


def pulses(f0: np.ndarray) -> np.ndarray:
    """Harmonic complex with fundamental ``f0 [N]`` Hz, equal harmonics below 4 kHz."""
    phase = 2 * np.pi * np.cumsum(f0) / 16_000
    return sum(np.cos(k * phase) for k in range(1, int(4000 / f0.max()))) * 400 / 32_768


@pytest.mark.parametrize("f0", [70.0, 90.0, 123.4, 200.0, 310.0, 440.0])
def test_steady_tone_is_found_between_samples(f0):
    rows = extract_features(pulses(np.full(16_000, f0)))
    assert np.all(rows[10:-2, VOICING] > 0.4)
    error = np.abs(f0_from_pitch(rows[10:-2, PITCH]) / f0 - 1)
    assert np.mean(error < 0.005) > 0.9
    # At a period beyond 160 samples some frame lies between two pulses: the track holds, less finely.
    assert error.max() < (0.005 if f0 > 100 else 0.02)


def test_a_glide_is_followed():
    f0 = 90 * 2 ** np.linspace(0, 1.3, 32_000)
    found = f0_from_pitch(extract_features(pulses(f0))[:, PITCH])
    truth = f0[::160]
    np.testing.assert_allclose(found[5:-2], truth[5:-2], rtol=0.03)


def test_no_octave_jump_inside_voiced_speech(clip):
    rows = extract_features(clip)
    voiced = rows[:, VOICING] > 0.2
    inside = voiced[1:] & voiced[:-1]
    assert np.abs(np.diff(rows[:, PITCH])[inside]).max() < 0.4


def test_tracker_agrees_with_probabilistic_yin(clip):
    librosa = pytest.importorskip("librosa")
    part = clip[:40_000]
    f0, voiced, probability = librosa.pyin(
        part, fmin=60, fmax=500, sr=16_000, frame_length=1024, hop_length=160, resolution=0.2
    )
    rows = extract_features(part)
    count = len(rows)
    sure = voiced[:count] & (probability[:count] > 0.3)
    octaves = np.log2(f0_from_pitch(rows[sure, PITCH]) / f0[:count][sure])
    assert np.mean(np.abs(octaves) > 0.4) < 0.01
    assert np.median(np.abs(octaves)) < 0.02


def test_the_track_moves_little_where_nothing_is_periodic():
    noise = np.random.default_rng(5).normal(0, 0.05, 48_000)
    assert np.mean(np.abs(np.diff(extract_features(noise)[:, PITCH]))) < 0.1


@pytest.mark.parametrize("center", [True, False])
def test_hard_yin_agrees_with_librosa(clip, center):
    librosa = pytest.importorskip("librosa")
    expected = librosa.yin(
        clip.astype(np.float64), fmin=62.5, fmax=500, sr=16_000, frame_length=640, hop_length=160, center=center
    )
    found = yin(clip, center=center)
    assert found.shape == expected.shape
    voiced = extract_features(clip)[:, VOICING] > 0.2
    count = min(len(voiced), len(found))
    close = np.abs(found / expected - 1) < 0.005
    assert close[:count][voiced[:count]].mean() >= 0.99


def test_hard_yin_refuses_a_range_that_does_not_fit():
    with pytest.raises(ValueError, match="too short"):
        yin(np.zeros(4000), fmin=20)
    with pytest.raises(ValueError, match="fmin < fmax"):
        yin(np.zeros(4000), fmin=300, fmax=200)
    with pytest.raises(ValueError, match="less than one frame"):
        yin(np.zeros(100), center=False)


def test_unvoiced_frames_stay_near_the_voiced_contour(clip):
    loud_hiss = 0.05 * np.random.default_rng(3).standard_normal(8_000)
    rows = extract_features(np.concatenate([np.zeros(4_000), clip[:48_000], loud_hiss, np.zeros(8_000)]))
    voiced = rows[:, VOICING] > VOICED_ABOVE
    periods = real_period(rows[:, PITCH])
    assert periods[~voiced].max() < 248
    assert periods[~voiced].min() > 33
    contour = VoicedContour()
    for pitch, is_voiced in zip(rows[:, PITCH].astype(np.float64), voiced, strict=True):
        before = contour.value
        contour.limit(np.array([pitch]), np.array([is_voiced]))
        assert is_voiced or abs(pitch - before) < UNVOICED_REACH + 1e-6


def test_voiced_frames_are_those_of_the_tracker(clip, monkeypatch):
    rows = extract_features(clip)
    monkeypatch.setattr(VoicedContour, "limit", lambda self, track, voiced: track)
    tracked = extract_features(clip)
    voiced = tracked[:, VOICING] > VOICED_ABOVE
    assert rows[voiced].tobytes() == tracked[voiced].tobytes()
    assert np.mean((rows[:, VOICING] > VOICED_ABOVE) != voiced) < 1e-3
    assert (rows[:, PITCH] != tracked[:, PITCH]).any()


def test_silence_before_speech_rests_in_mid_range():
    rows = extract_features(np.zeros(8_000))
    assert np.abs(rows[:, PITCH] - CONTOUR_REST).max() <= UNVOICED_REACH
