"""The row of 36 numbers that describes 10 ms of speech, and the scales its columns live on.

========  ======================================================================================
column    content
========  ======================================================================================
0..17     Bark cepstrum c0..c17 (base-10 log of band energies on the int16 scale; c0 minus 4)
18        pitch: ``log2(256 / period) - 1.5``, period in samples at 16 kHz; [-1.5, 1.5] octaves
19        frame correlation (how voiced the frame is); [-0.5, 0.5]
20..35    linear-prediction coefficients a1..a16; a function of columns 0..17
========  ======================================================================================

Column 18 spans F0 from 62.5 to 500 Hz; a higher F0 is analysed an octave low.

Frame ``t`` is centred on input sample ``160 t`` and made from samples ``[160 (t-1), 160 (t+1))``.

Columns 0..17 are the cepstrum of the log energies of Bark bands, with an exact way back. The window is 320 samples long
(the previous 160 and the newest 160, pre-emphasised)::

    w[i] = sin(pi/2 sin^2(pi/2 (i + 0.5)/160)),  i = 0..159, then mirrored
    E_b  = sum_k triangle_b(k) |X_k|^2,  X = FFT_320(w y) / 320; the two half triangles count twice
    L_b  = max(log10(0.01 + E_b), m - 8, g - 2.5)     m: largest L so far, g: decays by 2.5 per band
    c    = DCT-II_orthonormal(L),  c0 -= 4

All arithmetic is float64 and independent of the number of frames given at a time.

Linear prediction: the band energies are undone from the cepstrum, made a density, interpolated linearly over the bins
and turned into an autocorrelation; interpolation and inverse DFT together are one constant ``[18, 17]`` matrix. A(z) =
1 + sum_k a_k z^-k by Levinson-Durbin, which stops early (remaining coefficients zero) where the prediction gain passes
30 dB.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    from torch import Tensor

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


def log_bands(features: Tensor) -> Tensor:
    """Log10 band energies ``[..., 18]`` (int16 scale) of features ``[..., >= 18]``, tensor or array: the inverse DCT.
    """
    matrix = _dct_like(features)
    return features[..., CEPSTRA] @ matrix + C0_OFFSET * matrix[0]


def image_rows(features: Any) -> Any:
    """Rows ``[..., F, 20]`` of the speech image (:mod:`aether_lite.spi`), not normalised, of an array of features."""
    return np.concatenate((log_bands(features), features[..., NUM_BANDS:NUM_FREE]), axis=-1)


def cepstra_of_bands(bands: Tensor) -> Tensor:
    """Cepstra c0..c17 ``[..., 18]`` of log10 band energies ``[..., 18]`` (int16 scale); :func:`log_bands` goes back."""
    matrix = _dct_like(bands)
    return (bands - C0_OFFSET * matrix[0]) @ matrix.T


def _dct_like(values: Any) -> Tensor:
    if isinstance(values, np.ndarray):
        return DCT.astype(values.dtype)  # type: ignore[return-value]
    import torch

    return torch.as_tensor(DCT, dtype=values.dtype, device=values.device)


def voiced_frames(features: Tensor) -> Tensor:
    """``[..., F] bool``: frames of features ``[..., F, >= 20]`` that are voiced (correlation above 0.1)."""
    return features[..., VOICING] > VOICED_ABOVE
