"""Acquisition: where a transmission is in time, frequency and profile, from nothing but noise and signal.

**Map.** The pilots of a whole frame are a matched filter of 80 ms; ``|c|^2`` is computed for every sample of a frame
and for frequencies 3.9 Hz apart (FFT correlation of two frames at a time), for every profile.

**Threshold.** Each map is divided by its median over ln 2: of noise alone it is exponential with mean 1, whatever the
level. Sums over the last K = 1, 2, 4, 8, 16 frames (modulo a frame) are Gamma(K), so a threshold for each K states the
rate of false alarms. The power would not do instead of the median: strong cells would hide in it. Only where a frame
is stronger than most of its block is the map divided by that too.

**Carriers.** A steady carrier correlates with everything. Bins of a block's spectrum that stand out of their
surroundings are cut down to them first.

A first crossing may be a side peak: the best one within the next four frames is taken.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from aether_lite.modem.baseband import BASEBAND_RATE, FRAME, SYMBOL
from aether_lite.modem.profiles import PREFIX_S, Complex128, Profile

HOP = 2 * FRAME  # samples at a time
SIZE = 1024  # of the FFT; HOP, one frame and the tapers fit
TAPER = 32  # samples at both ends of a block, so that a carrier does not leak into all bins
FREQUENCIES = 26  # bins of BASEBAND_RATE / SIZE to each side: +-101.6 Hz
SUMS = (1, 2, 4, 8, 16)  # frames
FALSE_ALARM = 1e-10  # per cell of the map and frame, over all sums
WAIT_PILOTS = 28  # as many come while a better peak is waited for, and at least two steps
GROUP = 32  # bins, 125 Hz: surroundings of a bin
CARRIER_DB = 10.0  # above the median of its surroundings a bin is a carrier
SILENCE = 1e-18  # power of a baseband sample below which there is nothing to look at
LOUDER = 1.5  # times the median power of a block's frames
MEDIAN_STEP = 7  # every so many cells are enough for a median

Float32 = NDArray[np.float32]


@dataclass(frozen=True)
class Candidate:
    """A place where a transmission may be.

    Attributes:
        profile: of its pilots.
        arrival: of a recent frame [baseband samples].
        offset_hz: frequency offset, to 2 Hz.
        frames: K of the sum in which it stands out.
        significance: how far, in units of a nat of the false alarm rate.
    """

    profile: Profile
    arrival: float
    offset_hz: float
    frames: int
    significance: float


@cache
def log_tail(frames: int, value: float) -> float:
    """ln P(x > value) of x ~ Gamma(K, 1)."""
    terms = np.arange(frames) * np.log(value) - np.cumsum(np.log(np.maximum(np.arange(frames), 1)))
    return float(-value + np.logaddexp.reduce(terms))


@cache
def threshold(frames: int, false_alarm: float = FALSE_ALARM) -> float:
    """Value that a sum over K frames exceeds with this probability over all of :data:`SUMS`."""
    low, high, goal = float(frames), 500.0, float(np.log(false_alarm / len(SUMS)))
    for _ in range(60):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if log_tail(frames, middle) > goal else (low, middle)
    return high


@cache
def _references(profile: Profile) -> NDArray[np.complex64]:
    """``[frequencies, SIZE]``: conjugate spectra of the pilots of a frame, each moved by its frequency."""
    time = np.arange(SYMBOL) / BASEBAND_RATE - PREFIX_S
    symbol, carrier = profile.pilot_cells // profile.carriers, profile.pilot_cells % profile.carriers
    frame = np.zeros((2, SYMBOL), np.complex128)
    for place, which, value in zip(symbol, carrier, profile.pilot_symbols, strict=True):
        frame[place] += value * np.exp(2j * np.pi * profile.frequencies_hz[which] * time)
    frame /= np.linalg.norm(frame)
    spectrum = np.fft.fft(frame.ravel(), SIZE).conj()
    bins = range(-FREQUENCIES, FREQUENCIES + 1)
    return np.stack([np.roll(spectrum, number) for number in bins]).astype(np.complex64)


class Search:
    """Looks for the profiles in baseband, :data:`HOP` samples at a time.

    Args:
        profiles: to look for.
        start: number of the first sample that a frame may begin with.
        false_alarm: per cell of the map and frame.
    """

    def __init__(self, profiles: Sequence[Profile], start: int, false_alarm: float = FALSE_ALARM) -> None:
        self._profiles, self.place = profiles, start + TAPER
        self._thresholds = [threshold(frames, false_alarm) for frames in SUMS]
        self._maps: list[list[deque[Float32]]] = [
            [deque(maxlen=frames) for frames in SUMS[:-1]] for _ in profiles
        ]  # of each sum, as long as the next one needs
        self._best: Candidate | None = None
        self._waited = 0

    @property
    def window(self) -> slice:
        """Numbers of the samples that the next :meth:`push` takes."""
        return slice(self.place - TAPER, self.place - TAPER + SIZE)

    def push(self, samples: Complex128) -> Candidate | None:
        """Take the samples of :attr:`window`, and go on by :data:`HOP`; what was found, if any."""
        spectrum = excised(np.fft.fft(samples * _taper())).astype(np.complex64)
        silent = float(np.square(np.abs(samples)).mean()) < SILENCE
        louder = _louder(samples)
        for number, profile in enumerate(self._profiles):
            if silent:
                for sums in self._maps[number]:
                    sums.clear()
                continue
            correlation = np.fft.ifft(spectrum * _references(profile), axis=1)[:, TAPER : TAPER + HOP]
            power = (np.square(correlation.real) + np.square(correlation.imag)) / louder
            scale = np.log(2) / max(float(np.median(power.ravel()[::MEDIAN_STEP])), 1e-30)
            for half in range(2):
                cells = power[:, half * FRAME : (half + 1) * FRAME] * np.float32(scale)
                self._judge(number, profile, cells.astype(np.float32), self.place + half * FRAME)
        self.place += HOP
        return self._decided()

    def _judge(self, number: int, profile: Profile, cells: Float32, start: int) -> None:
        """Add one frame ``[frequencies, FRAME]`` to the sums of a profile and look for peaks."""
        for place, frames in enumerate(SUMS):
            if cells.max() > self._thresholds[place]:
                row, column = np.unravel_index(int(cells.argmax()), cells.shape)
                significance = -log_tail(frames, round(float(cells[row, column]), 2))
                if self._best is None or significance > self._best.significance:
                    offset = (int(row) - FREQUENCIES) * BASEBAND_RATE / SIZE
                    self._best = Candidate(profile, float(start + column), offset, frames, significance)
            if place == len(SUMS) - 1:
                return
            kept = self._maps[number][place]
            earlier = kept[0] if len(kept) == frames else None
            kept.append(cells)
            if earlier is None:
                return
            cells = cells + earlier

    def _decided(self) -> Candidate | None:
        """The best candidate when the time to wait for a better one is over."""
        if self._best is None:
            return None
        self._waited += 1
        if self._waited <= max(2, -(-WAIT_PILOTS // self._best.profile.pilots)):
            return None
        found, self._best, self._waited = self._best, None, 0
        return found


def _louder(samples: Complex128) -> Float32:
    """``[HOP]``: power of the frame that begins at each sample over the median of these, at least 1.

    Where a signal sets in, or its level steps up, it is no longer the noise of the rest of the block that matters.
    """
    total = np.cumsum(np.concatenate(([0.0], np.square(np.abs(samples)))))
    power = (total[FRAME:] - total[:-FRAME])[TAPER : TAPER + HOP]
    ratio = power / max(float(np.median(power)), 1e-30)
    return np.where(ratio > LOUDER, ratio, 1.0).astype(np.float32)


@cache
def _taper() -> NDArray[np.float64]:
    """``[SIZE]``: raised cosines at both ends."""
    rise = np.sin(np.pi / 2 * (np.arange(TAPER) + 0.5) / TAPER) ** 2
    return np.concatenate((rise, np.ones(SIZE - 2 * TAPER), rise[::-1]))


def excised(spectrum: Complex128) -> Complex128:
    """``[SIZE]``: bins far above the median of their surroundings cut down to it."""
    power = np.square(np.abs(spectrum))
    medians = np.median(power.reshape(-1, GROUP), axis=1)
    around = np.maximum(medians, np.maximum(np.roll(medians, 1), np.roll(medians, -1)))
    limit = np.repeat(around, GROUP) * 10 ** (CARRIER_DB / 10)
    return np.where(power > limit, spectrum * np.sqrt(limit / np.maximum(power, 1e-300)), spectrum)
