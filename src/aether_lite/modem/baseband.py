"""Receiver front end: audio to complex baseband at 4 kHz, and frames of cells out of it.

Time is counted in baseband samples from the first sample of the recording. A frame *arrives* at the time at which its
first prefix begins on a path in the middle of the channel's delays; the window of 35 ms of each symbol begins half a
prefix later, so that paths up to 2.5 ms before and behind that middle fit.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from aether_lite.modem.notch import Notches
from aether_lite.modem.profiles import (
    CENTRE_HZ,
    PREFIX_S,
    SPACING_HZ,
    SYMBOL_S,
    SYMBOLS,
    USEFUL_S,
    Complex128,
    Profile,
)
from aether_lite.modem.resampling import TAPS, interpolate
from aether_lite.modem.waveform import SAMPLE_RATE

BASEBAND_RATE = 4_000  # [Hz]
DECIMATION = SAMPLE_RATE // BASEBAND_RATE
SYMBOL = round(SYMBOL_S * BASEBAND_RATE)  # samples
FRAME = SYMBOLS * SYMBOL
USEFUL = round(USEFUL_S * BASEBAND_RATE)
WINDOW_START = round(PREFIX_S * BASEBAND_RATE / 2)  # of a symbol's window behind its arrival
CUTOFF_HZ = 2_000.0
FILTER_HALF = 48  # samples at 16 kHz, 3 ms, to each side

Float64 = NDArray[np.float64]


@cache
def _mixer() -> Complex128:
    """``[period]``: one period of what moves 1500 Hz to 0."""
    period = round(SAMPLE_RATE / np.gcd(SAMPLE_RATE, round(CENTRE_HZ)))
    made: Complex128 = np.exp(-2j * np.pi * CENTRE_HZ / SAMPLE_RATE * np.arange(period))
    return made


@cache
def _taps() -> Float64:
    """``[2 FILTER_HALF + 1]``: low pass, Kaiser, flat to 1.3 kHz and below -60 dB from 2.7 kHz on."""
    n = np.arange(-FILTER_HALF, FILTER_HALF + 1)
    edge = 2 * CUTOFF_HZ / SAMPLE_RATE
    taps: Float64 = 2 * edge * np.sinc(edge * n) * np.kaiser(len(n), 6.0)  # 2: of a real signal half is lost
    return taps


class Baseband:
    """One recording as complex baseband, in pieces of any size.

    Args:
        mirrored: the other sideband is received: frequencies are mirrored at 1500 Hz.
    """

    def __init__(self, mirrored: bool = False) -> None:
        self._mirrored, self._notches = mirrored, Notches()
        self._kept: Complex128 = np.zeros(FILTER_HALF, np.complex128)
        self._place = 0  # in the mixer's period

    def push(self, audio: Float64) -> Complex128:
        """Baseband ``[m]`` that audio ``[n]``, 16 kHz, makes known; it holds back 3 ms."""
        mixer = _mixer()
        turned = audio * mixer[(self._place + np.arange(len(audio))) % len(mixer)]
        self._place = (self._place + len(audio)) % len(mixer)
        joined = np.concatenate((self._kept, turned))
        count = max(0, (len(joined) - 2 * FILTER_HALF - 1) // DECIMATION + 1)
        self._kept = joined[count * DECIMATION :]
        if not count:
            return joined[:0]
        windows = np.lib.stride_tricks.sliding_window_view(joined, 2 * FILTER_HALF + 1)[::DECIMATION][:count]
        filtered = self._notches.push(windows @ _taps())
        return filtered.conj() if self._mirrored else filtered


@dataclass
class Clock:
    """Where the next frame is, and how it is turned.

    Attributes:
        arrival: of the next frame [samples].
        ppm: how much faster the sender's clock is than ours [millionths].
        offset_hz: frequency offset [Hz].
        phase: of the offset at the arrival [rad].
    """

    arrival: float
    offset_hz: float
    ppm: float = 0.0
    phase: float = 0.0

    @property
    def frame(self) -> float:
        """Length of a frame [samples]."""
        return FRAME / (1 + 1e-6 * self.ppm)

    def advance(self) -> None:
        """Go to the next frame."""
        self.phase = (self.phase + 2 * np.pi * self.offset_hz * self.frame / BASEBAND_RATE) % (2 * np.pi)
        self.arrival += self.frame


MARGIN = TAPS + 1  # samples beyond a frame that the interpolation needs
GUARD = np.arange(9, 13)  # carriers beyond the outer ones, where a transmission has nothing and the noise is measured


def received_cells(profile: Profile, samples: Complex128, first: int, clock: Clock) -> tuple[Complex128, Complex128]:
    """Cells ``[2 C]`` of the frame at ``clock``, and ``[2, 8]`` beside the band.

    ``samples`` begin with number ``first``, and the frame lies within.
    """
    within = (np.arange(SYMBOLS)[:, None] * SYMBOL + WINDOW_START + np.arange(USEFUL)) / (1 + 1e-6 * clock.ppm)
    start = int(np.floor(clock.arrival)) - MARGIN
    piece = samples[max(start - first, 0) : max(start - first + FRAME + 3 * MARGIN, 0)]
    window = interpolate(piece, (clock.arrival - max(start, first) + within).ravel())
    turned = window * np.exp(-1j * (clock.phase + 2 * np.pi * clock.offset_hz * within.ravel() / BASEBAND_RATE))
    made: Complex128 = turned.reshape(SYMBOLS, USEFUL) @ _analysis(profile)
    return made[:, : profile.carriers].ravel(), made[:, profile.carriers :]


@cache
def _analysis(profile: Profile) -> Complex128:
    """``[USEFUL, C + 8]``: window to carriers, and to those beside the band."""
    time = (WINDOW_START + np.arange(USEFUL)) / BASEBAND_RATE - PREFIX_S
    carriers, beside = profile.frequencies_hz, SPACING_HZ * GUARD
    frequencies = np.concatenate((carriers, carriers[0] - beside, carriers[-1] + beside))
    made: Complex128 = np.exp(-2j * np.pi * np.outer(time, frequencies)) * (
        np.sqrt(profile.carriers) / USEFUL
    )
    return made
