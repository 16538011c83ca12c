"""The channel simulator has the SNR, the fading, the frequencies and the clocks that it states."""

from __future__ import annotations

import numpy as np
import pytest

from aether_lite.channels.channel import seeded
from aether_lite.errors import AetherError
from aether_lite.modem.onair import CHANNELS, OnAir, analytic, doppler_gain, signal_power

RATE = 8000
TIME = np.arange(20 * RATE) / RATE


def narrow_noise() -> np.ndarray:
    """20 s of noise between 1000 and 2000 Hz."""
    spectrum = np.fft.rfft(np.random.default_rng(0).standard_normal(len(TIME)))
    frequency = np.fft.rfftfreq(len(TIME), 1 / RATE)
    return 0.1 * np.fft.irfft(np.where((frequency > 1000) & (frequency < 2000), spectrum, 0))


def band_power(samples: np.ndarray, low: float, high: float) -> float:
    spectrum = np.square(np.abs(np.fft.rfft(samples))) * 2 / len(samples) ** 2
    frequency = np.fft.rfftfreq(len(samples), 1 / RATE)
    return float(spectrum[(frequency >= low) & (frequency < high)].sum())


@pytest.mark.parametrize("snr", [-6.0, 0.0, 10.0])
def test_the_snr_is_that_in_three_kilohertz(snr: float) -> None:
    signal = narrow_noise()
    noise = OnAir(snr, seed=3).receive(signal, RATE) - OnAir(seed=3).receive(signal, RATE)
    measured = 10 * np.log10(np.square(signal).mean() / band_power(noise, 300, 3300))
    assert measured == pytest.approx(snr, abs=0.1)


def test_silence_around_the_signal_does_not_change_the_snr() -> None:
    signal = narrow_noise()
    power = signal_power(signal, RATE)
    assert signal_power(np.pad(signal, 5 * RATE), RATE) == pytest.approx(power, rel=1e-3)
    with pytest.raises(AetherError, match="no signal of 20 ms"):
        signal_power(np.zeros(RATE), RATE)


@pytest.mark.parametrize("spread", [0.5, 1.0, 2.0])
def test_a_path_has_unit_power_and_gaussian_doppler(spread: float) -> None:
    gains = np.stack([doppler_gain(spread, 60 * 100, 100, seeded(seed)) for seed in range(300)])
    assert np.square(np.abs(gains)).mean() == pytest.approx(1.0, abs=0.03)
    for lag in (10, 30, 60):
        found = (gains[:, lag:] * gains[:, :-lag].conj()).mean()
        expected = np.exp(-2 * (np.pi * spread / 2 * lag / 100) ** 2)
        assert abs(found - expected) < 0.03


@pytest.mark.parametrize("name", ["mpg", "mpp", "mpd"])
def test_two_paths_are_apart_by_the_delay_of_the_channel(name: str) -> None:
    signal = narrow_noise()
    heard, part = analytic(OnAir(channel=name, seed=2).receive(signal, RATE)), slice(8000, 8120)
    delay = round(CHANNELS[name].delay_s * RATE)
    for later, exact in ((delay, True), (delay + 5, False)):
        paths = np.stack((analytic(signal), analytic(np.roll(signal, later))))[:, part].T
        left = heard[part] - paths @ np.linalg.lstsq(paths, heard[part], rcond=None)[0]
        assert (np.square(abs(left)).mean() < 0.01 * np.square(abs(heard[part])).mean()) == exact


def test_offset_drift_and_clock_move_a_tone() -> None:
    tone = np.sin(2 * np.pi * 1500 * TIME)

    def frequency(**link: float) -> np.ndarray:
        heard = OnAir(**link).receive(tone, RATE)
        crossings = np.flatnonzero((heard[:-1] < 0) & (heard[1:] >= 0))
        exact = crossings - heard[crossings] / (heard[crossings + 1] - heard[crossings])
        return 400 * RATE / (exact[900:-500] - exact[500:-900])

    assert frequency(offset_hz=37.5).mean() == pytest.approx(1537.5, abs=0.01)
    assert frequency(ppm=200).mean() == pytest.approx(1500.3, abs=0.01)
    assert frequency(ppm=-150).mean() == pytest.approx(1499.775, abs=0.01)
    drifting = frequency(drift_hz_s=0.5)
    seconds = (np.arange(len(drifting)) + 700) / 1500
    assert np.polyfit(seconds, drifting, 1)[0] == pytest.approx(0.5, abs=0.01)


def test_a_resampled_signal_is_clean() -> None:
    tone = np.sin(2 * np.pi * 2500 * TIME)
    heard = OnAir(ppm=100).receive(tone, RATE)[RATE:-RATE]
    expected = np.sin(2 * np.pi * 2500 * 1.0001 * (TIME[: len(heard)] + 1))
    assert 10 * np.log10(np.square(heard - expected).mean() / 0.5) < -50


def test_lead_tail_carrier_filter_and_clipping() -> None:
    signal = narrow_noise()
    longer = OnAir(lead_s=1, tail_s=2).receive(signal, RATE)
    assert len(longer) == len(signal) + 3 * RATE
    assert not longer[:RATE].any()
    assert np.allclose(longer[RATE : -2 * RATE], signal)
    beside = OnAir(carrier_db=-6, carrier_hz=900).receive(signal, RATE) - signal
    assert np.square(beside).mean() == pytest.approx(np.square(signal).mean() / 10**0.6, rel=0.01)
    filtered = OnAir(snr3k_db=0, passband="ssb").receive(signal, RATE)
    assert band_power(filtered, 3000, 4000) < 1e-3 * band_power(filtered, 400, 1400)
    assert np.abs(OnAir(gain_db=40).receive(signal, RATE)).max() == 1.0


@pytest.mark.parametrize("wrong", [{"channel": "hf"}, {"passband": "am"}, {"snr3k_db": 90}, {"ppm": float("nan")}])
def test_what_cannot_be_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(AetherError, match=r"known: |must be in"):
        OnAir(**wrong)  # type: ignore[arg-type]


def test_a_seed_gives_the_same_again() -> None:
    signal = narrow_noise()
    once, again, other = (OnAir(3.0, "mpp", seed=seed).receive(signal, RATE) for seed in (1, 1, 2))
    assert np.array_equal(once, again)
    assert not np.allclose(once, other)
