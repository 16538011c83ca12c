"""The extractor against the public C extractor's output."""

from __future__ import annotations

import numpy as np
from numpy.testing import assert_allclose

from aether_lite.features import (
    CEPSTRA,
    LPC,
    PITCH,
    VOICING,
    extract_features,
    lpc_from_cepstrum,
)
from aether_lite.features.analysis import FrameAnalyser
from aether_lite.features.pitch import frame_correlation


def frame_correlations(pcm: np.ndarray, track: np.ndarray) -> np.ndarray:
    """Column 19 of a clip for a pitch track that is given, not tracked."""
    _, pieces = FrameAnalyser().analyse(pcm[: 160 * len(track)].astype(np.float64))
    return frame_correlation(pieces, track.astype(np.float64)).astype(np.float32)


def test_cepstra_match_both_generations(vector):
    rows = extract_features(vector.pcm)
    assert rows.shape == vector.rows.shape
    assert rows.dtype == np.float32
    assert_allclose(rows[:, CEPSTRA], vector.rows[:, CEPSTRA], atol=1e-3, rtol=0)
    assert_allclose(rows[:, CEPSTRA], vector.exact[:, CEPSTRA], atol=2e-5, rtol=0)


def test_lpc_match(vector):
    difference = np.abs(extract_features(vector.pcm)[:, LPC] - vector.rows[:, LPC])
    assert difference.max() < 2e-3
    assert np.median(difference) < 1e-4


def test_lpc_of_the_vectors_own_cepstra(vector):
    assert_allclose(lpc_from_cepstrum(vector.rows[:, CEPSTRA]), vector.rows[:, LPC], atol=2e-3, rtol=0)


def test_correlation_matches_at_the_vectors_pitch(vector):
    for reference in (vector.rows, vector.exact):
        value = frame_correlations(vector.pcm, reference[:, PITCH])
        assert_allclose(value, reference[:, VOICING], atol=3e-4, rtol=0)


def test_pitch_matches_where_voiced(vector):
    ratio = np.exp2(vector.rows[:, PITCH] - extract_features(vector.pcm)[:, PITCH])
    assert np.mean(np.abs(ratio[vector.voiced] - 1) < 0.03) >= 0.99


def test_correlation_is_that_of_the_written_pitch(vector):
    rows = extract_features(vector.pcm)
    np.testing.assert_array_equal(rows[:, VOICING], frame_correlations(vector.pcm, rows[:, PITCH]))
