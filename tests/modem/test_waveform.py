"""Profiles, modulator, limiter: all cells are used once, symbols come back, band and peaks are as stated."""

from __future__ import annotations

import numpy as np
import pytest
from radio_runs import NARROW, RATE, tokens

from aether_lite.errors import AetherError
from aether_lite.modem import PROFILES, Message, Profile, Transmitter, find
from aether_lite.modem.baseband import Baseband, Clock, received_cells
from aether_lite.modem.profiles import SPACING_HZ
from aether_lite.modem.waveform import FRAME, LEVEL, Limiter, data_frames, envelope_papr_db, modulate, to_audio

ALL = [pytest.param(profile, id=f"{profile.name}-{profile.rate}") for profile in PROFILES]


def cells_of(profile: Profile, seconds: float) -> np.ndarray:
    symbols = tokens(profile, seconds).reshape(-1, profile.uses)
    return data_frames(profile, symbols, np.ones((len(symbols), 2), complex))


@pytest.mark.parametrize("profile", ALL)
def test_every_cell_has_one_purpose_and_copies_are_even(profile: Profile) -> None:
    purposes = np.concatenate((profile.pilot_cells, profile.text_cells, profile.data_cells))
    assert sorted(purposes) == list(range(profile.cells))
    copies = np.bincount(profile.contents, minlength=profile.uses)
    assert copies.max() - copies.min() <= 1
    first = copies.reshape(2, -1)
    assert (np.diff(first, axis=1) <= 0).all(), "the most important symbols of each token have the most copies"


def test_profiles_differ_in_their_pilots() -> None:
    sequences = [tuple(np.round(profile.sequence(0, 22), 3)) for profile in PROFILES if profile.name != "wide24"]
    assert len(set(sequences)) == len(sequences)


@pytest.mark.parametrize(("name", "rate", "advice"), [
    ("narrow", 1200, "no profile does"), ("wide16", 1000, "profile narrow or wide24 does"),
    ("wide24", 150, "profile narrow does"), ("broad", 700, "known: narrow, wide16, wide24"),
])  # fmt: skip
def test_what_a_profile_cannot_carry_is_refused(name: str, rate: int, advice: str) -> None:
    with pytest.raises(AetherError, match=advice):
        find(name, rate)


@pytest.mark.parametrize("profile", ALL)
def test_cells_come_back_through_audio(profile: Profile) -> None:
    cells = cells_of(profile, 0.8)
    baseband = Baseband().push(np.pad(to_audio(modulate(profile, cells)), (0, 2000)))
    clock, received = Clock(0.0, 0.0), []
    for _ in range(len(cells) - 1):
        received.append(received_cells(profile, baseband, 0, clock)[0])
        clock.advance()
    gain = np.vdot(cells[1:-1], received[1:]) / np.square(np.abs(cells[1:-1])).sum()
    error = np.square(np.abs(np.array(received) / gain - cells[:-1]))[1:].mean()
    assert 10 * np.log10(error) < -40


def test_a_transmission_has_the_level_of_unit_symbols() -> None:
    audio = to_audio(modulate(NARROW, cells_of(NARROW, 20)))
    assert np.sqrt(np.square(audio).mean()) == pytest.approx(LEVEL, rel=0.01)


@pytest.mark.parametrize(("rate", "limit"), [(300, 530), (700, 1070), (1000, 1470)])
def test_the_band_is_as_narrow_as_stated(rate: int, limit: float) -> None:
    profile = find("narrow", rate)
    transmitter = Transmitter(profile)
    audio = np.concatenate((transmitter.push(tokens(profile, 10)), transmitter.flush()))
    power, frequency = np.square(np.abs(np.fft.rfft(audio))), np.fft.rfftfreq(len(audio), 1 / RATE)
    share = np.cumsum(power) / power.sum()
    low, high = (frequency[np.searchsorted(share, edge)] for edge in (0.005, 0.995))
    assert high - low <= limit
    assert (low + high) / 2 == pytest.approx(1500, abs=SPACING_HZ)
    assert power[(frequency < 300) | (frequency > 2700)].sum() < 1e-4 * power.sum()


@pytest.mark.parametrize("papr_db", [3.3, 4.0, 5.0, 6.0])
@pytest.mark.parametrize("rate", [300, 700, 1000])
def test_peaks_are_as_low_as_asked_for(papr_db: float, rate: int) -> None:
    profile = find("narrow", rate)
    baseband = Limiter(profile, papr_db).push(modulate(profile, cells_of(profile, 20)))
    assert papr_db - 0.5 < envelope_papr_db(baseband[FRAME:]) <= papr_db + 0.1


def test_the_transmitter_gives_the_same_for_tokens_in_any_pieces() -> None:
    symbols = tokens(NARROW, 2)
    whole, pieces = Transmitter(NARROW, Message("AB1C", 1)), Transmitter(NARROW, Message("AB1C", 1))
    once = np.concatenate((whole.push(symbols), whole.flush()))
    again = [pieces.push(symbols[start : start + 3]) for start in range(0, len(symbols), 3)]
    assert np.allclose(np.concatenate((*again, pieces.flush())), once, atol=1e-12)
    assert len(once) == (len(symbols) // 2 + 4) * FRAME


def test_an_odd_token_is_sent_and_no_token_is_nothing() -> None:
    transmitter = Transmitter(NARROW)
    assert len(transmitter.flush()) == 0
    assert len(transmitter.push(tokens(NARROW, 0.08)[:1])) == 0
    assert len(transmitter.flush()) == 5 * FRAME


@pytest.mark.parametrize("papr_db", [2.0, 13.0, float("nan")])
def test_a_peak_ratio_out_of_range_is_refused(papr_db: float) -> None:
    with pytest.raises(AetherError, match="PAPR must be in"):
        Limiter(NARROW, papr_db)
