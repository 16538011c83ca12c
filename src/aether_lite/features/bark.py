"""Bark-band log energies and their cepstrum, and the exact way back.

The window is 320 samples long (the previous 160 and the newest 160, pre-emphasised)::

    w[i] = sin(pi/2 sin^2(pi/2 (i + 0.5)/160)),  i = 0..159, then mirrored
    E_b  = sum_k triangle_b(k) |X_k|^2,  X = FFT_320(w y) / 320; the two half triangles count twice
    L_b  = max(log10(0.01 + E_b), m - 8, g - 2.5)     m: largest L so far, g: decays by 2.5 per band
    c    = DCT-II_orthonormal(L),  c0 -= 4

All arithmetic is float64 and independent of the number of frames given at a time.
"""

from __future__ import annotations

import numpy as np

from aether_lite.features.layout import FRAME, NUM_BANDS, Float64, Int64, row_sum

WINDOW_LENGTH = 2 * FRAME  # samples; bins are 50 Hz apart
NUM_BINS = FRAME  # bins 0..159 belong to bands; bin 160 to none
BAND_BINS: Int64 = np.array(
    [0, 4, 8, 12, 16, 20, 24, 28, 32, 40, 48, 56, 64, 80, 96, 112, 136, 160], dtype=np.int64
)  # band centres in bins of 50 Hz: 0 .. 8000 Hz
C0_OFFSET = 4.0
ENERGY_FLOOR = 0.01
START_LEVEL = -2.0  # log10(ENERGY_FLOOR)
MAX_RANGE = 8.0  # a band lies at most 80 dB below the largest lower band
MAX_FALL = 2.5  # and falls at most 25 dB from one band to the next


def _triangles() -> tuple[Float64, Float64]:
    """Weight of each of the 160 bins in the band below it and in the band above it."""
    widths = np.diff(BAND_BINS)
    rising = np.concatenate([np.arange(width) / width for width in widths])
    return 1.0 - rising, rising


def _dct_matrix() -> Float64:
    """Orthonormal DCT-II: ``cepstrum = matrix @ bands``; its transpose is its inverse."""
    index = np.arange(NUM_BANDS)
    matrix = np.sqrt(2.0 / NUM_BANDS) * np.cos(np.pi / NUM_BANDS * np.outer(index, index + 0.5))
    matrix[0] *= np.sqrt(0.5)
    return np.asarray(matrix, dtype=np.float64)


def _window() -> Float64:
    rise = np.sin(np.pi / 2 * np.sin(np.pi / 2 * (np.arange(FRAME) + 0.5) / FRAME) ** 2)
    return np.concatenate([rise, rise[::-1]])


FALLING, RISING = _triangles()
DCT: Float64 = _dct_matrix()
WINDOW: Float64 = _window()


def band_energies(windows: Float64) -> Float64:
    """Energies of the 18 bands.

    Args:
        windows: ``[F, 320]`` pre-emphasised samples on the int16 scale, not yet weighted by the window.

    Returns:
        ``[F, 18]`` sums of squared magnitude, >= 0.
    """
    spectrum = np.fft.rfft(windows * WINDOW, axis=-1)[:, :NUM_BINS] / WINDOW_LENGTH
    power = spectrum.real**2 + spectrum.imag**2
    energies = np.zeros((len(windows), NUM_BANDS))
    energies[:, :-1] = np.add.reduceat(power * FALLING, BAND_BINS[:-1], axis=-1)
    energies[:, 1:] += np.add.reduceat(power * RISING, BAND_BINS[:-1], axis=-1)
    energies[:, 0] *= 2.0
    energies[:, -1] *= 2.0
    return energies


def limited_log(energies: Float64) -> Float64:
    """Base-10 logarithm of band energies ``[F, 18]``, with the limits on range and fall."""
    levels = np.log10(ENERGY_FLOOR + energies)
    largest = np.full(len(levels), START_LEVEL)
    follower = np.full(len(levels), START_LEVEL)
    for band in range(NUM_BANDS):
        level = np.maximum(levels[:, band], np.maximum(largest - MAX_RANGE, follower - MAX_FALL))
        levels[:, band] = level
        largest = np.maximum(largest, level)
        follower = np.maximum(follower - MAX_FALL, level)
    return levels


def cepstrum_from_bands(levels: Float64) -> Float64:
    """Cepstra ``[F, 18]`` of log10 band energies ``[F, 18]``."""
    cepstra = row_sum(levels, DCT.T)
    cepstra[:, 0] -= C0_OFFSET
    return cepstra


def bands_from_cepstrum(cepstra: Float64) -> Float64:
    """Log10 band energies ``[F, 18]`` of cepstra ``[F, 18]``: the exact inverse of the DCT and its offset."""
    shifted = np.array(cepstra, dtype=np.float64)
    shifted[:, 0] += C0_OFFSET
    return row_sum(shifted, DCT)


def cepstra_of_windows(windows: Float64) -> Float64:
    """Cepstra ``[F, 18]`` of ``[F, 320]`` pre-emphasised samples on the int16 scale."""
    return cepstrum_from_bands(limited_log(band_energies(windows)))
