"""Linear prediction from the cepstrum (not from the signal).

The band energies are undone from the cepstrum, made a density, interpolated linearly over the bins and turned
into an autocorrelation; interpolation and inverse DFT together are one constant ``[18, 17]`` matrix.
A(z) = 1 + sum_k a_k z^-k by Levinson-Durbin, which stops early (remaining coefficients zero) where the
prediction gain passes 30 dB.
"""

from __future__ import annotations

import numpy as np

from aether_lite.features.bark import (
    BAND_BINS,
    FALLING,
    NUM_BINS,
    RISING,
    WINDOW_LENGTH,
    bands_from_cepstrum,
)
from aether_lite.features.layout import LPC_ORDER, NUM_BANDS, Float64, row_sum

# Makes the sum over a band a density per 200 Hz.
BAND_DENSITY: Float64 = np.array(
    [0.8, 1, 1, 1, 1, 1, 1, 1, 2 / 3, 1 / 2, 1 / 2, 1 / 2, 1 / 3, 1 / 4, 1 / 4, 1 / 5, 1 / 6, 4 / 23]
)
NOISE_FLOOR_RELATIVE = 1e-4  # of r0: 40 dB
NOISE_FLOOR = 26 / 38  # 320 // 12 = 26: the reference divides integers
LAG_WINDOW = 6e-5
STOP_ERROR = 0.001  # of r0


def _autocorrelation_matrix() -> Float64:
    """``[18, 17]``: band densities to the autocorrelation r0..r16 of the interpolated spectrum."""
    interpolation = np.zeros((NUM_BANDS, NUM_BINS))
    band = np.repeat(np.arange(NUM_BANDS - 1), np.diff(BAND_BINS))
    bins = np.arange(NUM_BINS)
    interpolation[band, bins] = FALLING
    interpolation[band + 1, bins] += RISING
    cosines = np.cos(2 * np.pi / WINDOW_LENGTH * np.outer(bins, np.arange(LPC_ORDER + 1)))
    multiplicity = np.where(bins == 0, 1.0, 2.0)  # bins 1..159 also stand for their mirror image
    return np.asarray((interpolation * multiplicity) @ cosines, dtype=np.float64)


_AUTOCORRELATION = _autocorrelation_matrix()


def autocorrelation_from_cepstrum(cepstra: Float64) -> Float64:
    """Autocorrelation r0..r16 ``[F, 17]`` of cepstra ``[F, 18]``, with noise floor and lag window."""
    density = np.power(10.0, bands_from_cepstrum(cepstra)) * BAND_DENSITY
    autocorrelation = row_sum(density, _AUTOCORRELATION)
    autocorrelation[:, 0] += NOISE_FLOOR_RELATIVE * autocorrelation[:, 0] + NOISE_FLOOR
    autocorrelation[:, 1:] *= 1.0 - LAG_WINDOW * np.arange(1, LPC_ORDER + 1) ** 2
    return autocorrelation


def levinson(autocorrelation: Float64) -> Float64:
    """Prediction coefficients ``[F, 16]`` of autocorrelations ``[F, 17]`` (r0 > 0), all frames at once."""
    frames, order = len(autocorrelation), autocorrelation.shape[1] - 1
    coefficients = np.zeros((frames, order))
    error = autocorrelation[:, 0].copy()
    running = np.ones(frames, dtype=bool)
    terms = np.empty((frames, order))
    for i in range(order):
        terms[:, 0] = autocorrelation[:, i + 1]
        np.multiply(coefficients[:, :i], autocorrelation[:, i:0:-1], out=terms[:, 1 : i + 1])
        acc = np.add.accumulate(terms[:, : i + 1], axis=1)[:, -1]
        reflection = np.where(running, -acc / error, 0.0)
        head = coefficients[:, :i]
        coefficients[:, :i] = head + reflection[:, None] * head[:, ::-1]
        coefficients[:, i] = reflection
        error = error - reflection * reflection * error
        running &= error >= STOP_ERROR * autocorrelation[:, 0]
    return coefficients


def lpc_from_cepstrum(cepstra: Float64) -> Float64:
    """LPC a1..a16 ``[F, 16]`` of cepstra ``[F, 18]``; silence gives a1..a16 close to 0."""
    return levinson(autocorrelation_from_cepstrum(np.asarray(cepstra, dtype=np.float64)))
