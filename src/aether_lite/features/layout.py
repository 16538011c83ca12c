"""The row of 36 numbers that describes 10 ms of speech, and the scales its columns live on.

========  ======================================================================================
column    content
========  ======================================================================================
0..17     Bark cepstrum c0..c17 (base-10 log of band energies on the int16 scale; c0 minus 4)
18        pitch: ``log2(256 / period) - 1.5``, period in samples at 16 kHz; [-1.5, 1.5] octaves
19        frame correlation (how voiced the frame is); [-0.5, 0.5]
20..35    linear-prediction coefficients a1..a16; a function of columns 0..17
========  ======================================================================================

Frame ``t`` is centred on input sample ``160 t`` and made from samples ``[160 (t-1), 160 (t+1))``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Float64 = NDArray[np.float64]
Float32 = NDArray[np.float32]
Int64 = NDArray[np.int64]
Array = NDArray[Any]

SAMPLE_RATE = 16_000  # Hz
FRAME = 160  # samples in a frame and between frames (10 ms)
INT16_SCALE = 32_768.0  # samples are analysed on the int16 scale
LOUDEST = 100.0  # [full scale]; beyond +40 dB the samples were never scaled to [-1, 1]
PREEMPHASIS = 0.85  # y[n] = x[n] - 0.85 x[n-1]

NUM_BANDS = 18
LPC_ORDER = 16
CEPSTRA = slice(0, 18)
PITCH = 18
VOICING = 19
LPC = slice(20, 36)
NUM_FREE = 20  # columns that carry information (and all the vocoder reads)
NUM_ALL = 36

PITCH_MIN, PITCH_MAX = -1.5, 1.5  # octaves, column 18
CORRELATION_MIN, CORRELATION_MAX = -0.5, 0.5  # column 19
VOICED_ABOVE = 0.1  # column 19: a frame is called voiced
LAG_MIN, LAG_MAX = 32, 256  # samples: 500 Hz, 62.5 Hz
PERIOD_MAX = 255  # samples; the longest period the vocoder accepts


def pitch_from_period(period: ArrayLike) -> Float64:
    """Pitch feature [octaves] of a real-valued period [samples at 16 kHz], not clipped."""
    return np.asarray(np.log2(LAG_MAX / np.asarray(period, dtype=np.float64)) - 1.5)


def real_period(pitch: ArrayLike) -> Float64:
    """Real-valued period [samples] of a pitch feature [octaves]: ``256 / 2^(pitch + 1.5)``."""
    return np.asarray(LAG_MAX / np.exp2(np.asarray(pitch, dtype=np.float64) + 1.5))


def period_from_pitch(pitch: ArrayLike) -> Int64:
    """Integer period [samples, 32..255] as the vocoder reads a pitch feature (rounds half to even)."""
    return np.asarray(np.rint(np.clip(real_period(pitch), LAG_MIN, PERIOD_MAX)), dtype=np.int64)


def analysis_lag(pitch: ArrayLike) -> Int64:
    """Integer lag [samples, 32..256] at which the frame correlation is taken: ``floor(0.5 + period)``."""
    lag = np.floor(0.5 + real_period(pitch))
    return np.asarray(np.clip(lag, LAG_MIN, LAG_MAX), dtype=np.int64)


def f0_from_pitch(pitch: ArrayLike) -> Float64:
    """Fundamental frequency [Hz] of a pitch feature [octaves]: ``62.5 * 2^(pitch + 1.5)``."""
    return SAMPLE_RATE / real_period(pitch)


def pitch_from_f0(f0: ArrayLike) -> Float64:
    """Pitch feature [octaves] of a fundamental frequency [Hz], not clipped."""
    return pitch_from_period(SAMPLE_RATE / np.asarray(f0, dtype=np.float64))


def row_sum(coefficients: Float64, matrix: Float64) -> Float64:
    """``coefficients [F, n] @ matrix [n, m] -> [F, m]``, each row's bits independent of F.

    A BLAS product may add in another order for another number of rows; streaming and batch must agree. ``accumulate``
    adds one after the other.
    """
    products = coefficients[:, :, None] * matrix
    total: Float64 = np.add.accumulate(products, axis=1)[:, -1]
    return total
