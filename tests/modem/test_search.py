"""Acquisition: false alarms as often as stated, none on what is no transmission, and found where it is."""

from __future__ import annotations

import numpy as np
import pytest
from radio_runs import NARROW, RATE, over_the_air, sent, tokens

from aether_lite.modem import PROFILES, find
from aether_lite.modem.baseband import BASEBAND_RATE, FRAME, Baseband
from aether_lite.modem.search import FREQUENCIES, SIZE, SUMS, Candidate, Search, log_tail, threshold


def found(baseband: np.ndarray, search: Search) -> list[Candidate]:
    candidates = []
    while search.window.stop <= len(baseband):
        candidates.append(search.push(baseband[search.window]))
    return [candidate for candidate in candidates if candidate is not None]


def test_the_tail_is_that_of_sums_of_exponentials() -> None:
    drawn = np.random.default_rng(0).exponential(size=(200_000, 4)).sum(axis=1)
    assert np.exp(log_tail(4, 9.0)) == pytest.approx((drawn > 9).mean(), rel=0.05)
    for frames in SUMS:
        assert log_tail(frames, threshold(frames)) == pytest.approx(np.log(1e-10 / len(SUMS)), abs=1e-6)


def test_cells_of_noise_exceed_thresholds_as_often_as_stated() -> None:
    random = np.random.default_rng(1)
    search, share = Search([NARROW], 0, 1e-4), np.zeros(len(SUMS))
    counted: list[np.ndarray] = []
    search._judge = lambda number, profile, cells, start: counted.append(cells)  # type: ignore[method-assign]
    audio = random.standard_normal(20 * RATE)
    found(Baseband().push(audio), search)
    cells = np.concatenate([each.ravel() for each in counted])
    for place, level in enumerate((3.0, 6.0, 9.0)):
        share[place] = (cells > level).mean() / np.exp(-level)
    assert share[:3] == pytest.approx(0.85, abs=0.25)  # cutting bins that stand out takes some of the tail


@pytest.mark.parametrize("loud", [1e-3, 1.0])
def test_noise_gives_no_candidates(loud: float) -> None:
    noise = loud * np.random.default_rng(2).standard_normal(5 * RATE)
    assert found(Baseband().push(noise), Search(PROFILES, 0)) == []


@pytest.mark.parametrize("offset", [-98.0, 0.0, 41.0, 98.0])
@pytest.mark.parametrize("rate", [150, 700, 1000])
def test_a_transmission_is_found_where_it_is(offset: float, rate: int) -> None:
    profile = find("narrow", rate)
    audio = sent(profile, tokens(profile, 4))
    link = {"snr3k_db": 6.0, "offset_hz": offset, "lead_s": 1.0, "seed": rate}
    candidates = found(Baseband().push(over_the_air(audio, **link)), Search(PROFILES, 0))
    assert candidates
    first = candidates[0]
    assert first.profile == profile
    assert first.offset_hz == pytest.approx(offset, abs=4.0)
    late = (first.arrival / BASEBAND_RATE - 1.0) * BASEBAND_RATE % FRAME
    assert min(late, FRAME - late) <= 2
    assert 0 <= first.arrival / BASEBAND_RATE - 1.0 < 2.0


def test_a_carrier_beside_it_does_not_hide_it() -> None:
    audio = sent(NARROW, tokens(NARROW, 4))
    link = {"snr3k_db": 0.0, "carrier_db": 0.0, "carrier_hz": 1660.0, "lead_s": 1.0, "seed": 1}
    candidates = found(Baseband().push(over_the_air(audio, **link)), Search([NARROW], 0))
    assert candidates
    assert abs(candidates[0].offset_hz) < 4.0
    assert FREQUENCIES * BASEBAND_RATE / SIZE > 100
