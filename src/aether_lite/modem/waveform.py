"""OFDM modulator: frames of cells to complex baseband, and the peak limiter behind it.

At the baseband rate of 16 kHz carrier k of frequency f_k (relative to the centre) is, over a symbol of 40 ms that
begins with its prefix at t = -5 ms::

    s(t) = sum_k X_k exp(i 2 pi f_k t) / sqrt(C)

so cells of power 1 make a signal of power 1. The limiter clips the envelope and filters what that spreads out of the
band, in rounds, because filtering lets peaks grow again.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from aether_lite.channels.channel import checked_number
from aether_lite.modem.profiles import (
    CENTRE_HZ,
    PREFIX_S,
    SPACING_HZ,
    SYMBOL_S,
    SYMBOLS,
    Complex128,
    Profile,
)

SAMPLE_RATE = 16_000  # [Hz]
SYMBOL = round(SYMBOL_S * SAMPLE_RATE)  # samples
FRAME = SYMBOLS * SYMBOL
LEVEL = 0.2  # root of the mean power of a transmission, full scale 1
ROUNDS = 3  # of clipping and filtering
FILTER_HALF = 96  # samples, 6 ms, to each side
EDGE_HZ = 90.0  # between the outer carriers and the filter's -6 dB
PAPR_RANGE_DB = (3.3, 12.0)
DEFAULT_PAPR_DB = 4.0
CEILINGS_DB = (
    (3.29, -2), (3.48, -1), (3.73, 0), (4.05, 1), (4.44, 2), (4.92, 3), (5.52, 4), (6.25, 5), (7.0, 6), (8.4, 8),
    (12, 20),
)  # fmt: skip
"""Peak to average power behind the limiter, as symbols of speech stay below, and the ceiling over the nominal power."""

Float64 = NDArray[np.float64]


@cache
def _carriers(profile: Profile) -> Complex128:
    """``[C, SYMBOL]``: one symbol of each carrier."""
    time = np.arange(SYMBOL) / SAMPLE_RATE - PREFIX_S
    made: Complex128 = np.exp(2j * np.pi * np.outer(profile.frequencies_hz, time)) / np.sqrt(profile.carriers)
    return made


def data_frames(profile: Profile, symbols: Complex128, text: Complex128) -> Complex128:
    """Cells ``[F, 2 C]`` of the codec's symbols ``[F, uses]`` and of text ``[F, 2]``."""
    cells = np.zeros((len(symbols), profile.cells), np.complex128)
    cells[:, profile.data_cells] = symbols[:, profile.contents]
    cells[:, profile.text_cells] = text
    cells[:, profile.pilot_cells] = profile.pilot_symbols
    return cells


def known_frames(profile: Profile, numbers: tuple[int, ...]) -> Complex128:
    """Cells ``[2, 2 C]`` of the frames that begin (:data:`LEAD`), or end (:data:`END`), an over."""
    cells = np.stack([profile.sequence(number, profile.cells) for number in numbers])
    cells[:, profile.pilot_cells] = profile.pilot_symbols
    return cells


def modulate(profile: Profile, cells: Complex128) -> Complex128:
    """Complex baseband ``[1280 F]`` at 16 kHz of frames ``[F, 2 C]``."""
    made: Complex128 = cells.reshape(-1, profile.carriers) @ _carriers(profile)
    return made.reshape(-1)


class Limiter:
    """Peak limiter of one transmission: baseband in any pieces, the same behind ``delay`` samples.

    Args:
        profile: whose band is kept.
        papr_db: peak to average power that 99.9 % of the envelope keep within [dB], 3.3..12; the average is the nominal
            power 1 and not that of the speech, so that nothing of the clip reaches the level.

    Raises:
        AetherError: ``papr_db`` out of range.
    """

    delay = ROUNDS * FILTER_HALF

    def __init__(self, profile: Profile, papr_db: float = DEFAULT_PAPR_DB) -> None:
        checked = checked_number("PAPR", papr_db, *PAPR_RANGE_DB)
        self._ceiling = 10 ** (float(np.interp(checked, *np.transpose(CEILINGS_DB))) / 20)
        half = profile.bandwidth_hz / 2 - SPACING_HZ / 2 + EDGE_HZ
        n = np.arange(-FILTER_HALF, FILTER_HALF + 1)
        edge = 2 * half / SAMPLE_RATE
        self._taps: Float64 = edge * np.sinc(edge * n) * np.hamming(len(n))
        self._kept = [np.zeros(2 * FILTER_HALF, np.complex128) for _ in range(ROUNDS)]

    def push(self, samples: Complex128) -> Complex128:
        """Samples ``[n]`` limited, ``[n]``."""
        for number, kept in enumerate(self._kept):
            envelope = np.abs(samples)
            clipped = samples * (self._ceiling / np.maximum(envelope, self._ceiling))
            joined = np.concatenate((kept, clipped))
            self._kept[number] = joined[len(joined) - 2 * FILTER_HALF :]
            samples = np.convolve(joined, self._taps, mode="valid") if len(clipped) else clipped
        return samples


def to_audio(samples: Complex128, start: int = 0) -> Float64:
    """Audio ``[n]`` around 1500 Hz of baseband ``[n]`` at 16 kHz, whose first sample is number ``start``."""
    time = (start + np.arange(len(samples))) / SAMPLE_RATE
    return np.asarray(np.sqrt(2) * LEVEL * (samples * np.exp(2j * np.pi * CENTRE_HZ * time)).real)


def envelope_papr_db(samples: Complex128, share: float = 0.999) -> float:
    """Power that ``share`` of the envelope keep below, over the mean power [dB]."""
    power = np.square(np.abs(samples))
    return float(10 * np.log10(np.quantile(power, share) / power.mean()))
