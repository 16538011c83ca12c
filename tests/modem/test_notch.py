"""Steady carriers are taken out, and a transmission is left as it is."""

from __future__ import annotations

import numpy as np
from radio_runs import NARROW, sent, tokens

from aether_lite.modem.baseband import BASEBAND_RATE, Baseband
from aether_lite.modem.notch import Notches

TIME = np.arange(6 * BASEBAND_RATE) / BASEBAND_RATE


def power_db(samples: np.ndarray) -> float:
    return float(10 * np.log10(np.square(np.abs(samples[2 * BASEBAND_RATE :])).mean()))


def noise(seed: int) -> np.ndarray:
    return (np.random.default_rng(seed).standard_normal((len(TIME), 2)) @ (1, 1j)) * np.sqrt(0.5)


def test_carriers_go_and_noise_stays() -> None:
    carriers = sum(10 * np.exp(2j * np.pi * frequency * TIME) for frequency in (-712.3, 55.1, 340.0))
    left = Notches().push(noise(0) + carriers) - noise(0)
    assert power_db(left) < -20  # of 25 dB
    assert power_db(Notches().push(noise(1)) - noise(1)) < -60


def test_a_transmission_passes_unchanged() -> None:
    baseband = Baseband().push(sent(NARROW, tokens(NARROW, 5)))
    passed = Notches().push(baseband)
    assert np.square(np.abs(passed - baseband)).sum() < 1e-3 * np.square(np.abs(baseband)).sum()


def test_pieces_give_what_the_whole_gives() -> None:
    samples = noise(2) + 3 * np.exp(2j * np.pi * 100 * TIME)
    notches = Notches()
    pieces = [notches.push(samples[start : start + 333]) for start in range(0, len(samples), 333)]
    assert np.allclose(np.concatenate(pieces), Notches().push(samples), atol=1e-9)
