"""Cepstra and prediction coefficients against direct formulas."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from aether_lite.features import layout
from aether_lite.features.layout import (
    analysis_lag,
    f0_from_pitch,
    period_from_pitch,
    pitch_from_f0,
    pitch_from_period,
)


@given(st.integers(1, 7), st.integers(0, 2**32 - 1))
def test_cepstrum_and_bands_are_inverses(frames, seed):
    levels = np.random.default_rng(seed).normal(3, 3, (frames, 18))
    assert_allclose(layout.bands_from_cepstrum(layout.cepstrum_from_bands(levels)), levels, atol=1e-12)


def test_a_tone_falls_into_its_band():
    time = np.arange(320)
    for band, k in enumerate(layout.BAND_BINS[:-1]):
        if k == 0:
            continue
        energies = layout.band_energies(1000 * np.cos(2 * np.pi * k * time / 320)[None])
        assert int(energies.argmax()) == band


def test_log_limits_hold():
    energies = np.array([[1e9] + [0.0] * 17])
    levels = layout.limited_log(energies)[0]
    assert_allclose(levels[0], 9, atol=1e-9)
    assert_allclose(levels[1:5], [6.5, 4, 1.5, 1], atol=1e-9)  # 25 dB a band, then 80 dB below the largest
    assert_allclose(levels[5:], 1, atol=1e-9)


def test_levinson_solves_the_normal_equations():
    cepstra = layout.cepstrum_from_bands(2 + 0.3 * np.random.default_rng(3).normal(size=(50, 18)))
    r = layout.autocorrelation_from_cepstrum(cepstra)
    found = layout.levinson(r)
    for frame in range(50):
        toeplitz = r[frame][np.abs(np.subtract.outer(np.arange(16), np.arange(16)))]
        assert_allclose(found[frame], np.linalg.solve(toeplitz, -r[frame, 1:]), atol=1e-9)


def test_levinson_stops_at_30_db_of_gain():
    r = np.cos(0.3 * np.arange(17))[None] * np.r_[1.0001, np.ones(16)]  # nearly a pure tone
    found = layout.levinson(r)[0]
    assert np.all(found[:2] != 0)
    assert np.all(found[2:] == 0)


def test_pitch_scale():
    assert_allclose(pitch_from_period([256, 32]), [-1.5, 1.5])
    assert_allclose(f0_from_pitch([-1.5, 0.5]), [62.5, 250])
    assert_allclose(pitch_from_f0(125), -0.5)
    assert period_from_pitch([-1.5, 1.5, 2.0]).tolist() == [255, 32, 32]
    assert analysis_lag([-1.5, 1.5]).tolist() == [256, 32]
    periods = np.arange(32, 256)
    assert period_from_pitch(pitch_from_period(periods)).tolist() == periods.tolist()
