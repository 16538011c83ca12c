"""Tracking of frequency, clock and window, from the pilots of one frame to the next.

Products of the pilots of neighbouring frames, X_k = sum_t P_k(t) P_k*(t - 1) with forgetting, turn by what is left of
the frequency offset, and their phase leans over frequency by what is left of the clock difference; both hold for any
fading that is alike in both frames, and neither follows the paths' strengths. The window follows an early-late gate:
pilots predicted by a channel that lies earlier, or later, should fit equally well.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from aether_lite.modem.baseband import BASEBAND_RATE, Clock
from aether_lite.modem.estimation import AHEAD, WIDEST, ChannelEstimator, filters
from aether_lite.modem.profiles import FRAME_S, Complex128, Profile

OFFSET_FRAMES = 25  # memory of the frequency offset, 2 s
CLOCK_FRAMES = 300  # of the clock difference, 24 s; shorter at the beginning
WARM_FRAMES = 40  # before them the clock difference is believed in part only
MOST_PPM = 400.0
GATE_S = 2.5e-3  # early and late
GATE_FORGET_S = 3.0
GATE_STEP_S = 60e-6  # greatest move of the window in a frame
OUTSIDE, FAST_STEP_S = 0.6, 250e-6  # the same where the present window holds no more than this of the best one's power

Float64 = NDArray[np.float64]


class Tracker:
    """Keeps a clock on one over."""

    def __init__(self, profile: Profile, clock: Clock) -> None:
        self.clock = clock
        self._profile = profile
        self._turn = 0j
        self._products: Complex128 = np.zeros(profile.pilots, np.complex128)
        self._gate = np.zeros(3)  # fit of early, present and late
        self._frames = 0
        self._frequencies = profile.frequencies_hz[profile.pilot_cells % profile.carriers]

    def update(self, estimator: ChannelEstimator, noise_db: float, valid: bool) -> None:
        """Correct the clock, which stands at the next frame; after a frame that was not ``valid`` its window alone."""
        pilots = estimator.pilots
        later = self._window_error(pilots, noise_db)
        if not valid:
            self._move(estimator, 0.0, 0.0, later)
            return
        self._frames += 1
        product = pilots[-1] * pilots[-2].conj()
        self._turn += (product.sum() - self._turn) / min(self._frames, OFFSET_FRAMES)
        self._products += (product - self._products) / min(self._frames, CLOCK_FRAMES)
        offset = float(np.angle(self._turn)) / (2 * np.pi * FRAME_S)
        rate = -lean(self._products, self._frequencies) / FRAME_S  # the delay grows by this [s/s]
        believed = min(1.0, self._frames / WARM_FRAMES) ** 2
        ppm = float(np.clip(self.clock.ppm - believed * rate * 1e6, -MOST_PPM, MOST_PPM)) - self.clock.ppm
        self._move(estimator, offset, ppm, later)

    def _move(self, estimator: ChannelEstimator, offset_hz: float, ppm: float, later_s: float) -> None:
        """Change the clock, and refer to it what was received before."""
        clock = self.clock
        clock.offset_hz += offset_hz
        clock.ppm += ppm
        clock.arrival += later_s * BASEBAND_RATE
        clock.phase += 2 * np.pi * clock.offset_hz * later_s
        estimator.turn(later_s, offset_hz)
        sooner = 1e-6 * ppm * FRAME_S
        turn = np.exp(-2j * np.pi * offset_hz * FRAME_S)
        self._turn *= turn
        self._products *= turn * np.exp(-2j * np.pi * self._frequencies * sooner)

    def _window_error(self, pilots: list[Complex128], noise_db: float) -> float:
        """How much later the window should be [s], limited to a step."""
        past = len(pilots) - 1 - AHEAD
        if past < 1:
            return 0.0
        prediction = filters(self._profile, WIDEST, noise_db, past).prediction
        history, present = np.concatenate(pilots), pilots[past]
        self._gate *= np.exp(-FRAME_S / GATE_FORGET_S)
        for place, moved in enumerate((-GATE_S, 0.0, GATE_S)):
            turn = np.exp(2j * np.pi * self._frequencies * moved)
            guess = prediction @ (history * np.tile(turn, len(pilots)))
            self._gate[place] += float((guess.conj() * (present * turn)).real.sum())
        early, middle, late = self._gate
        best = max(early, middle, late)
        if best <= 0:
            return 0.0
        step = GATE_STEP_S if middle > OUTSIDE * best else FAST_STEP_S
        return float(np.clip((late - early) / best, -1, 1)) * step


def lean(products: Complex128, frequencies: Float64) -> float:
    """Slope of the phase of ``products [P]`` over ``frequencies [P]``, over 2 pi [s]: weighted least squares."""
    order = np.argsort(frequencies)
    turned = products[order] * np.exp(-1j * np.angle(products.sum()))
    weight = np.abs(turned) + 1e-30
    phase = np.angle(turned)
    frequency = frequencies[order] - np.average(frequencies[order], weights=weight)
    return float((weight * frequency * phase).sum() / (weight * np.square(frequency)).sum() / (2 * np.pi))
