"""Receiver: overs with unknown start, frequency, clock, channel and level, from nothing but audio."""

from __future__ import annotations

import numpy as np
import pytest
from radio_runs import NARROW, RATE, heard, loss_db, over_the_air, sent, tokens

from aether_lite.errors import AetherError
from aether_lite.modem import PROFILES, Receiver, find


def test_an_over_is_received_whole_and_its_symbols_come_back() -> None:
    symbols = tokens(NARROW, 8)
    link = {"snr3k_db": 3.0, "offset_hz": -83.0, "ppm": 150.0, "lead_s": 1.234, "tail_s": 1.0, "seed": 1}
    over, *others = heard(over_the_air(sent(NARROW, symbols, "AB1CDE"), **link))
    assert not others
    report = over.over
    assert (report.began, report.ended, report.frames, report.lost) == (True, True, 100, 0)
    assert report.start_s == pytest.approx(1.234 + 0.16, abs=0.002)
    assert report.offset_hz == pytest.approx(-83.0 + 150e-6 * 1500, abs=0.15)
    assert report.ppm == pytest.approx(150, abs=60)
    assert report.text == "AB1CDE"
    assert report.weights == 7
    assert np.mean(report.snr3k_db) == pytest.approx(3.0, abs=0.7)
    assert loss_db(NARROW, symbols, over.symbols, 3.0) < 2.5


@pytest.mark.parametrize(("name", "rate"), [("narrow", 150), ("narrow", 1000), ("wide16", 500), ("wide24", 1000)])
def test_profile_and_rate_are_found(name: str, rate: int) -> None:
    profile = find(name, rate)
    symbols = tokens(profile, 4)
    over, *others = heard(over_the_air(sent(profile, symbols), snr3k_db=3.0, lead_s=0.5, offset_hz=30.0), PROFILES)
    assert not others
    assert over.over.profile == profile
    assert over.symbols.shape == symbols.shape
    assert loss_db(profile, symbols, over.symbols, 3.0) < (4.0 if rate == 150 else 2.8)


@pytest.mark.parametrize("block", [80, 999, 16_001])
def test_a_stream_in_blocks_equals_the_whole(block: int) -> None:
    audio = np.concatenate([sent(NARROW, tokens(NARROW, 2, seed)) for seed in range(2)])
    audio = over_the_air(audio, snr3k_db=3.0, channel="mpp", lead_s=0.7, tail_s=1.0, ppm=40.0)
    whole, pieces = heard(audio), heard(audio, block=block)
    assert len(whole) == len(pieces) == 2
    for one, other in zip(whole, pieces, strict=True):
        assert np.allclose(one.symbols, other.symbols, atol=1e-9)
        assert one.over.start_s == pytest.approx(other.over.start_s, abs=1e-9)


def test_overs_of_several_stations_in_one_file() -> None:
    links = ((700, 60.0, 100.0), (300, -70.0, -80.0), (700, 10.0, 0.0))
    parts = []
    for rate, offset, ppm in links:
        profile = find("narrow", rate)
        parts.append(over_the_air(sent(profile, tokens(profile, 3, rate)), offset_hz=offset, ppm=ppm, tail_s=0.3))
    overs = heard(over_the_air(np.concatenate(parts), snr3k_db=5.0), PROFILES)
    assert [over.over.profile.rate for over in overs] == [rate for rate, *_ in links]
    for over, (_, offset, ppm) in zip(overs, links, strict=True):
        assert over.over.offset_hz == pytest.approx(offset + 1500e-6 * ppm, abs=0.3)
        assert over.over.ended
        assert len(over.frames) >= 37


def test_late_entry_gives_the_rest_of_the_over() -> None:
    symbols = tokens(NARROW, 12)
    audio = sent(NARROW, symbols, "LATE")[round(2.03 * RATE) :]
    (over,) = heard(over_the_air(audio, snr3k_db=5.0))
    rest = symbols[-len(over.symbols) :]
    assert not over.over.began
    assert len(rest) >= round((12 - 2.03) / 0.04) - 2
    assert loss_db(NARROW, rest, over.symbols, 5.0) < 2.8
    assert over.over.text == "LATE"


def test_a_hole_and_a_level_step_do_not_end_an_over() -> None:
    symbols = tokens(NARROW, 8)
    audio = sent(NARROW, symbols)
    audio[3 * RATE : round(3.5 * RATE)] = 0.0
    audio[5 * RATE :] *= 10**-0.5
    (over,) = heard(over_the_air(audio, snr3k_db=12.0))
    assert over.symbols.shape == symbols.shape
    for part in (slice(0, 60), slice(110, 120), slice(150, 200)):
        assert loss_db(NARROW, symbols[part], over.symbols[part], 12.0) < 14
    assert over.over.lost <= 9


def test_the_end_of_a_signal_without_an_end_is_noticed_and_nothing_is_added() -> None:
    symbols = tokens(NARROW, 4)
    audio = sent(NARROW, symbols)[: round(3.1 * RATE)]
    (over,) = heard(over_the_air(audio, snr3k_db=3.0, tail_s=5.0))
    assert not over.over.ended
    assert 36 <= len(over.frames) <= 36 + 8


def test_the_other_sideband_is_received_by_option() -> None:
    symbols = tokens(NARROW, 3)
    audio = over_the_air(sent(NARROW, symbols), offset_hz=20.0, lead_s=0.5)
    mirrored = audio * 2 * np.cos(2 * np.pi * 3000 * np.arange(len(audio)) / RATE)  # 3000 - f, and 3000 + f
    mirrored = over_the_air(mirrored, snr3k_db=6.0, passband="ssb")
    assert heard(mirrored) == []
    (over,) = heard(mirrored, mirrored=True)
    assert over.symbols.shape == symbols.shape
    assert over.over.offset_hz == pytest.approx(20.0, abs=0.3)


@pytest.mark.parametrize(("carrier_db", "carrier_hz"), [(-6.0, 850.0), (0.0, 1402.0), (20.0, 2300.0)])
def test_a_carrier_and_a_filter_are_borne(carrier_db: float, carrier_hz: float) -> None:
    symbols = tokens(NARROW, 5)
    link = {"snr3k_db": 5.0, "carrier_db": carrier_db, "carrier_hz": carrier_hz, "passband": "tight", "seed": 3}
    link["gain_db"] = -20.0  # room for the carrier: clipped at full scale it costs 4.3 dB
    (over,) = heard(over_the_air(sent(NARROW, symbols), lead_s=0.5, **link))
    assert over.symbols.shape == symbols.shape
    assert loss_db(NARROW, symbols, over.symbols, 5.0) < 3.5


@pytest.mark.parametrize(("channel", "snr"), [("mpg", 5.0), ("mpp", 5.0), ("mpd", 8.0)])
def test_fading_is_borne(channel: str, snr: float) -> None:
    symbols = tokens(NARROW, 8)
    over, *others = heard(over_the_air(sent(NARROW, symbols), snr3k_db=snr, channel=channel, lead_s=0.5, seed=5))
    assert not others
    assert len(over.symbols) >= len(symbols) - 10
    assert np.square(np.abs(symbols[-len(over.symbols) :] - over.symbols)).mean() < 0.45


def test_noise_tones_and_silence_hold_no_overs() -> None:
    random, time = np.random.default_rng(0), np.arange(4 * RATE) / RATE
    noise = random.standard_normal(len(time))
    sweep = np.sin(2 * np.pi * (300 + 150 * time) * time) + 1e-3 * noise
    bursts = noise * np.where(time % 2 < 1, 1e-3, 1.0)
    tone = np.sin(2 * np.pi * 1700 * time) + 0.01 * noise
    for audio in (noise, tone, sweep, bursts, np.zeros(3 * RATE), np.ones(100)):
        assert heard(audio, PROFILES) == []


@pytest.mark.slow
@pytest.mark.parametrize("ppm", [-200.0, 200.0])
def test_clock_and_frequency_drift_for_minutes(ppm: float) -> None:
    symbols = tokens(NARROW, 240)
    link = {"snr3k_db": 0.0, "ppm": ppm, "drift_hz_s": 0.1, "offset_hz": -12.0, "lead_s": 0.5}
    (over,) = heard(over_the_air(sent(NARROW, symbols), **link))
    assert over.symbols.shape == symbols.shape
    parts = [slice(at, at + 1500) for at in range(0, 6000, 1500)]
    losses = [loss_db(NARROW, symbols[part], over.symbols[part], 0.0) for part in parts]
    assert max(losses) < 2.6
    assert over.over.lost == 0


def test_a_receiver_takes_another_recording_after_the_end_of_one() -> None:
    audio = over_the_air(sent(NARROW, tokens(NARROW, 2)), snr3k_db=10.0, lead_s=0.3)
    receiver = Receiver([NARROW])
    for cut in (len(audio) // 2, len(audio)):  # the first ends within its over
        found = receiver.push(audio[:cut]) + receiver.flush()
        assert sum(len(each.frames) for each in found) >= 10
        assert found[-1].ended
        assert found[0].over.start_s == pytest.approx(0.3 + 0.16, abs=0.01)


def test_whole_numbers_are_scaled() -> None:
    audio = over_the_air(sent(NARROW, tokens(NARROW, 1)), snr3k_db=10.0)
    frames = [Receiver([NARROW]).push(each)[0].frames[0] for each in (audio, np.rint(audio * 32768).astype(np.int16))]
    assert np.allclose(frames[0].gain, frames[1].gain, rtol=1e-3)


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e38, 101.0])
def test_a_bad_sample_is_refused_and_changes_nothing(value: float) -> None:
    audio = over_the_air(sent(NARROW, tokens(NARROW, 1)), snr3k_db=10.0, tail_s=0.5)
    receiver = Receiver([NARROW])
    with pytest.raises(AetherError, match="sample 7 is"):
        receiver.push(np.append(np.zeros(7), value))
    assert sum(len(each.frames) for each in receiver.push(audio)) >= 10
