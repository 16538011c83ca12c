"""Channel estimation: Wiener filters from the pilots of six past frames, the present and the next one.

The gain of a cell at time t and frequency f is modelled as stationary, with a Gaussian Doppler spectrum of standard
deviation sigma and delays spread evenly over a window of T around the middle::

    E[h(t, f) h*(t', f')] = G exp(-2 (pi sigma (t - t'))^2) sinc((f - f') T)

Its linear minimum-mean-square-error estimate from pilots with noise N0 is one real matrix for each design (sigma, T),
N0 / G (in steps of 2 dB) and number of frames at hand. Each pilot is also predicted from all others. The error of that
tells which design fits, how strong the noise is (the model knows how much of the error is the prediction's), and
whether there is a signal at all: prediction and noise have no phase in common. A second prediction is from other
frequencies alone; that of a carrier, or of another transmission's pilots, fails.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from aether_lite.modem.profiles import FRAME_S, SPACING_HZ, SYMBOL_S, SYMBOLS, Complex128, Profile

PAST, AHEAD = 6, 1  # frames
DESIGNS = ((0.05, 2e-3), (0.5, 4e-3), (1.0, 5e-3))  # sigma [Hz], T [s]: slow, mid, fast
MID, WIDEST = 1, 2
NOISE_STEP_DB = 2.0
NOISE_RANGE_DB = (-24.0, 14.0)  # N0 / G of a design
MEAN_FRAMES = 12  # about 1 s
BETTER = 0.97  # another design is taken if it predicts with this much of the error

Float64 = NDArray[np.float64]


@dataclass(frozen=True)
class Filters:
    """One design.

    Attributes:
        gains: ``[2 C, n P]``: pilots of n frames to gains of the present frame's cells.
        error: ``[2 C]``: mean square error of these over G.
        prediction: ``[P, n P]``: each pilot of the present frame from all others.
        prediction_error: its mean square error against the pilot as received, over N0.
        across: ``[P, n P]``: the same from those at other frequencies.
    """

    gains: Float64
    error: Float64
    prediction: Float64
    prediction_error: float
    across: Float64


@lru_cache(maxsize=512)
def filters(profile: Profile, design: int, noise_db: float, past: int) -> Filters:
    """The filters of a design for N0 / G ``noise_db`` [dB] and ``past`` frames before the present one."""
    sigma_hz, window_s = DESIGNS[design]
    noise = 10 ** (noise_db / 10)
    carrier, symbol = np.arange(profile.cells) % profile.carriers, np.arange(profile.cells) // profile.carriers
    frames = np.arange(-past, AHEAD + 1)
    time: Float64 = (FRAME_S * frames[:, None] + SYMBOL_S * symbol[profile.pilot_cells]).ravel()
    frequency: Float64 = np.tile(SPACING_HZ * carrier[profile.pilot_cells], len(frames))

    def correlation(t: Float64, f: Float64) -> Float64:
        apart = np.square(np.pi * sigma_hz * (t[:, None] - time))
        made: Float64 = np.exp(-2 * apart) * np.sinc(window_s * (f[:, None] - frequency))
        return made

    inverse = np.linalg.inv(correlation(time, frequency) + noise * np.eye(len(time)))
    cross = correlation(np.asarray(SYMBOL_S * symbol, np.float64), np.asarray(SPACING_HZ * carrier, np.float64))
    gains = cross @ inverse
    present = past * profile.pilots + np.arange(profile.pilots)
    variance = 1 / inverse[present, present]  # of each pilot, given all others
    prediction = -variance[:, None] * inverse[present]
    prediction[np.arange(profile.pilots), present] = 0.0
    across = np.zeros_like(prediction)
    for pilot in range(profile.pilots):
        own = np.arange(pilot, len(time), profile.pilots)
        across[pilot] = -np.linalg.inv(inverse[np.ix_(own, own)])[past] @ inverse[own]
        across[pilot, own] = 0.0
    error = np.clip(1 - (gains * cross).sum(axis=1), 0, 1)
    return Filters(gains, error, prediction, float(variance.mean()) / noise, across)


@dataclass(frozen=True)
class FrameEstimate:
    """What is known of one frame.

    Attributes:
        cells: as received ``[2 C]``.
        gain: of every cell ``[2 C]``.
        noise: of every cell, the error of its gain included ``[2 C]``.
        evidence: prediction and pilots agree by this many standard deviations of noise alone.
        coherence: the same of the prediction from other frequencies.
        power, level: G and N0, means over 1 s.
        design: index of the filters that were used.
    """

    cells: Complex128
    gain: Complex128
    noise: Float64
    evidence: float
    coherence: float
    power: float
    level: float
    design: int

    @property
    def snr(self) -> float:
        """G / N0."""
        return self.power / self.level


class ChannelEstimator:
    """Estimates of one over, one frame behind.

    Args:
        profile: of the over.
        snr: first guess of G / N0.
    """

    def __init__(self, profile: Profile, snr: float = 1.0) -> None:
        self._profile = profile
        self._frames: deque[tuple[Complex128, Complex128]] = deque(maxlen=PAST + 1 + AHEAD)  # cells, pilots
        self._errors: deque[list[float]] = deque(maxlen=MEAN_FRAMES)  # of each design
        self._noises: deque[float] = deque(maxlen=MEAN_FRAMES)
        self._powers: deque[float] = deque(maxlen=MEAN_FRAMES)
        self._ratio, self._design, self._past = 1 / snr, MID, -AHEAD - 1

    def push(self, cells: Complex128) -> FrameEstimate | None:
        """Take the cells ``[2 C]`` of a frame, return the estimate of the one before (None for the first)."""
        profile = self._profile
        pilots = cells[profile.pilot_cells] / profile.pilot_symbols
        self._frames.append((cells, pilots))
        self._past = min(self._past + 1, PAST)
        if self._past < 0:
            return None
        known = list(self._frames)[-(self._past + 1 + AHEAD) :]
        history = np.concatenate([each for _, each in known])
        present_cells, present = known[self._past]
        designs = [filters(profile, each, self._noise_db, self._past) for each in range(len(DESIGNS))]
        predicted = [each.prediction @ history for each in designs]
        self._errors.append([float(np.square(np.abs(present - each)).mean()) for each in predicted])
        self._choose()
        used, guess = designs[self._design], predicted[self._design]
        self._noises.append(self._errors[-1][self._design] / used.prediction_error)
        self._powers.append(float(np.square(np.abs(present)).mean()))
        noise = max(float(np.mean(self._noises)), 1e-12)
        power = max(float(np.mean(self._powers)) - noise, 1e-3 * noise)
        self._ratio = noise / power
        return FrameEstimate(
            present_cells, used.gains @ history, noise + power * used.error, _agreement(guess, present, noise),
            _agreement(used.across @ history, present, noise), power, noise, self._design,
        )  # fmt: skip

    def turn(self, delay_s: float, offset_hz: float) -> None:
        """Refer past frames to a window ``delay_s`` later and a frequency ``offset_hz`` higher from the next one on."""
        frequency = self._profile.frequencies_hz
        both = np.tile(np.exp(2j * np.pi * frequency * delay_s), SYMBOLS)
        turned: deque[tuple[Complex128, Complex128]] = deque(maxlen=self._frames.maxlen)
        for age, (cells, pilots) in zip(range(len(self._frames), 0, -1), self._frames, strict=True):
            turn = both * np.exp(2j * np.pi * offset_hz * FRAME_S * age)
            turned.append((cells * turn, pilots * turn[self._profile.pilot_cells]))
        self._frames = turned

    @property
    def pilots(self) -> list[Complex128]:
        """Gains ``[P]`` at the pilots of the last frames, the newest last."""
        return [pilots for _, pilots in self._frames]

    @property
    def _noise_db(self) -> float:
        low, high = NOISE_RANGE_DB
        return float(np.clip(NOISE_STEP_DB * round(10 * np.log10(self._ratio) / NOISE_STEP_DB), low, high))

    def _choose(self) -> None:
        """Take another design if it predicts clearly better over the last second."""
        if len(self._errors) < MEAN_FRAMES:
            return
        errors = np.mean(self._errors, axis=0)
        best = int(errors.argmin())
        if errors[best] < BETTER * errors[self._design]:
            self._design = best


def _agreement(guess: Complex128, pilots: Complex128, noise: float) -> float:
    """In how many standard deviations of noise alone ``pilots [P]`` agree with their prediction."""
    spread = np.sqrt(0.5 * noise * np.square(np.abs(guess)).sum()) + 1e-30
    return float((guess.conj() * pilots).real.sum() / spread)
