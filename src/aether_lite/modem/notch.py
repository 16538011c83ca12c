"""Steady carriers are taken out of the baseband before anything else looks at it.

Every quarter of a second the spectrum of the last half second is searched for lines that stand far out of their
surroundings; a transmission has none, since its pilots change with every symbol. Each is followed by a notch of 4 Hz,
which has no delay: the line is turned to frequency 0, averaged with forgetting, and subtracted.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from aether_lite.modem.profiles import Complex128

WINDOW, HOP = 2048, 1024  # samples at 4 kHz
GROUP = 32  # bins, 62 Hz: surroundings of a line
STANDS_OUT_DB = 14.0  # above their median; noise does in one bin of 3e10
MOST_LINES = 6
KEEP = 0.997  # per sample: of the average that is subtracted
SAME = 3e-4 * 2 * np.pi  # [rad a sample], 1.2 Hz: a line as near to an old one is that one


class Notches:
    """Takes carriers out of baseband, in pieces of any size."""

    def __init__(self) -> None:
        self._past: Complex128 = np.zeros(WINDOW, np.complex128)
        self._count = 0  # samples since the last look
        self._turns = np.zeros(0)  # of the lines [rad a sample]
        self._averages = np.zeros(0, np.complex128)  # of the lines, turned to the phase of the next sample

    def push(self, samples: Complex128) -> Complex128:
        """Samples ``[n]`` without carriers, ``[n]``."""
        pieces = []
        while len(samples):
            part, samples = samples[: HOP - self._count], samples[HOP - self._count :]
            pieces.append(self._filtered(part))
            self._past = np.concatenate((self._past[len(part) :], part))
            self._count += len(part)
            if self._count == HOP:
                self._count = 0
                self._look()
        return np.concatenate(pieces) if pieces else samples

    def _filtered(self, samples: Complex128) -> Complex128:
        """Samples less the running average of each line in turn."""
        n = np.arange(1, len(samples) + 1)
        for place, turn in enumerate(self._turns):
            still = samples * np.exp(-1j * turn * (n - 1))
            grown = np.cumsum(still * KEEP**-n) * (1 - KEEP)
            average = KEEP**n * (self._averages[place] + grown)
            samples = samples - average * np.exp(1j * turn * (n - 1))
            self._averages[place] = average[-1] * np.exp(1j * turn * len(samples))
        return samples

    def _look(self) -> None:
        """Lines in the last samples; those that are still there keep their average."""
        spectrum = np.fft.fft(self._past * np.hanning(WINDOW))
        power = np.square(np.abs(spectrum))
        medians = np.median(power.reshape(-1, GROUP), axis=1)
        around = np.repeat(np.maximum(medians, np.maximum(np.roll(medians, 1), np.roll(medians, -1))), GROUP)
        top = (power >= np.roll(power, 1)) & (power > np.roll(power, -1))
        peaks = top & (power > around * 10 ** (STANDS_OUT_DB / 10))
        strongest = np.flatnonzero(peaks)
        strongest = strongest[np.argsort(-power[strongest])][:MOST_LINES]
        turns, averages = [], []
        for peak in strongest:
            turn = 2 * np.pi * peak / WINDOW
            still = (self._past * np.exp(-1j * turn * np.arange(WINDOW))).reshape(2, HOP) @ _window()
            shift = float(np.angle(still[1] * still[0].conj())) / HOP  # between the middles of both halves
            turn += shift
            average = still[1] / _window().sum() * np.exp(1j * (turn * WINDOW - shift * 1.5 * HOP))
            near = np.abs(np.angle(np.exp(1j * (self._turns - turn)))) < SAME
            turns.append(turn)
            averages.append(self._averages[near][0] if near.any() else average)
        self._turns, self._averages = np.array(turns), np.array(averages, np.complex128)


@cache
def _window() -> NDArray[np.float64]:
    return np.hanning(HOP)
