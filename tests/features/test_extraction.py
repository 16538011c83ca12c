"""Batch and streaming extraction."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aether_lite.errors import AetherError
from aether_lite.features import (
    FRAME,
    ROW_LOOKAHEAD_SAMPLES,
    TRACKER_LOOKAHEAD_FRAMES,
    StreamingExtractor,
    extract_features,
)

SILENCE_C0 = -2 * np.sqrt(18) - 4


def speech_like(samples: int, seed: int = 0) -> np.ndarray:
    """Pulses at a gliding rate through a resonance, with gaps and noise; int16."""
    generator = np.random.default_rng(seed)
    time = np.arange(samples) / 16_000
    phase = 2 * np.pi * np.cumsum(120 + 60 * np.sin(2 * np.pi * 0.7 * time)) / 16_000
    wave = sum(np.cos(k * phase) / k for k in range(1, 12)) * (np.sin(2 * np.pi * 1.3 * time) > -0.3)
    return (2000 * wave + generator.normal(0, 30, samples)).astype(np.int16)


def pushed(pcm: np.ndarray, sizes: list[int]) -> np.ndarray:
    extractor, rows, start = StreamingExtractor(), [], 0
    for size in [*sizes, len(pcm)]:
        rows.append(extractor.push(pcm[start : start + size]))
        start += size
    return np.concatenate([*rows, extractor.flush()])


@settings(max_examples=25, deadline=None)
@given(
    samples=st.integers(0, 20_000),
    sizes=st.lists(st.one_of(st.integers(0, 700), st.just(FRAME), st.just(17_000)), max_size=40),
)
def test_streaming_equals_batch_bit_for_bit(samples, sizes):
    pcm = speech_like(samples)
    whole = extract_features(pcm)
    assert whole.shape == (samples // FRAME, 36)
    assert pushed(pcm, sizes).tobytes() == whole.tobytes()


def test_streaming_frame_by_frame_equals_batch_on_speech(vector):
    whole = extract_features(vector.pcm)
    rows = pushed(vector.pcm, [FRAME] * (len(vector.pcm) // FRAME))
    assert rows.tobytes() == whole.tobytes()


def test_a_row_comes_with_its_last_sample_and_not_before(vector):
    extractor = StreamingExtractor()
    row = 7
    needed = FRAME * row + ROW_LOOKAHEAD_SAMPLES
    assert ROW_LOOKAHEAD_SAMPLES == FRAME * (1 + TRACKER_LOOKAHEAD_FRAMES)
    assert len(extractor.push(vector.pcm[: needed - 1])) == row
    assert len(extractor.push(vector.pcm[needed - 1 : needed])) == 1


def test_later_samples_change_no_earlier_row(vector):
    changed = vector.pcm.copy()
    at = 20_000
    changed[at:] = 0
    settled = (at - ROW_LOOKAHEAD_SAMPLES) // FRAME + 1
    before, after = extract_features(vector.pcm), extract_features(changed)
    assert before[:settled].tobytes() == after[:settled].tobytes()
    assert before[settled:].tobytes() != after[settled:].tobytes()


def test_flush_begins_anew(vector):
    extractor = StreamingExtractor()
    first = np.concatenate([extractor.push(vector.pcm[:5000]), extractor.flush()])
    second = np.concatenate([extractor.push(vector.pcm[:5000]), extractor.flush()])
    assert first.tobytes() == second.tobytes()
    assert extractor.flush().shape == (0, 36)


def test_float_samples_are_scaled_by_32768(vector):
    pcm = vector.pcm[:16_000]
    as_float = pcm.astype(np.float32) / 32_768
    assert extract_features(as_float).tobytes() == extract_features(pcm).tobytes()
    assert extract_features(as_float.astype(np.float64)).tobytes() == extract_features(pcm).tobytes()


def test_silence_has_the_floor_cepstrum_and_a_still_pitch():
    rows = extract_features(np.zeros(3200, np.int16))
    np.testing.assert_allclose(rows[:, 0], SILENCE_C0, rtol=1e-6)
    np.testing.assert_allclose(rows[:, 1:18], 0, atol=1e-6)
    assert np.ptp(rows[:, 18]) == 0
    assert np.isfinite(rows).all()


def test_extreme_samples_stay_in_range():
    square = np.where(np.arange(16_000) // 50 % 2, 32_767, -32_768).astype(np.int16)
    noise = np.random.default_rng(1).integers(-32_768, 32_768, 16_000).astype(np.int16)
    for pcm in (square, noise):
        rows = extract_features(pcm)
        assert np.isfinite(rows).all()
        assert np.abs(rows[:, 18]).max() <= 1.5
        assert np.abs(rows[:, 19]).max() <= 0.5 + 1e-6


@pytest.mark.parametrize(
    ("samples", "says"),
    [
        (np.zeros((2, 320), np.int16), "one channel"),
        (np.zeros(320, np.int32), "int32"),
        (np.array([0.0, np.nan] * 160), "sample 1 is not finite"),
    ],
)
def test_unusable_samples_are_refused(samples, says):
    with pytest.raises(AetherError, match=says):
        extract_features(samples)
