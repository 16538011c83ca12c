"""The prediction residual and the frame correlation that tells how voiced a frame is.

For frame t the residual ``e = A(z) y`` covers the 160 pre-emphasised samples ``[160 t - 80, 160 t + 80)``,
each frame with its own A(z), the signal itself as the filter's memory. A low-pass of about 1.2 kHz follows::

    H(z) = (1 - 0.84946 z^-1 + z^-2) / (1 - 1.54220 z^-1 + 0.70781 z^-2)

It runs here as an FIR of its first :data:`LOWPASS_TAPS` samples (poles at radius 0.841: the rest is below
1e-9), so that a frame depends on a bounded past and gives the same bits streamed or not.
"""

from __future__ import annotations

import numpy as np

from aether_lite.features.layout import FRAME, LAG_MAX, LPC_ORDER, Float64, Int64, analysis_lag

LOWPASS_B = (1.0, -0.84946, 1.0)
LOWPASS_A = (1.0, -1.54220, 0.70781)
LOWPASS_TAPS = 129
HISTORY_ROWS = 2  # rows of 160 that hold a lag of up to 256
_PIECE = FRAME + LOWPASS_TAPS - 1  # 288 samples, also the FFT length of the overlap-save product


def _lowpass_spectrum() -> Float64:
    response = np.zeros(LOWPASS_TAPS)
    for n in range(LOWPASS_TAPS):
        response[n] = LOWPASS_B[n] if n < 3 else 0.0
        response[n] -= sum(LOWPASS_A[k] * response[n - k] for k in (1, 2) if n >= k)
    return np.asarray(np.fft.rfft(response, _PIECE))


_LOWPASS_SPECTRUM = _lowpass_spectrum()


def residual(windows: Float64, lpc: Float64) -> Float64:
    """Prediction residual of the central 160 samples.

    Args:
        windows: ``[F, 320]`` pre-emphasised samples ``[160 (t-1), 160 (t+1))``.
        lpc: ``[F, 16]`` coefficients of each frame.

    Returns:
        ``[F, 160]`` residual at ``[160 t - 80, 160 t + 80)``.
    """
    start = FRAME // 2
    error = windows[:, start : start + FRAME].copy()
    for k in range(1, LPC_ORDER + 1):
        error += lpc[:, k - 1, None] * windows[:, start - k : start - k + FRAME]
    return error


def lowpass(previous: Float64, rows: Float64) -> Float64:
    """Low-passed residual ``[F, 160]`` of ``rows [F, 160]``; ``previous [F, 160]`` is the row before each."""
    pieces = np.concatenate([previous[:, FRAME - (LOWPASS_TAPS - 1) :], rows], axis=1)
    spectrum = np.fft.rfft(pieces, axis=-1) * _LOWPASS_SPECTRUM
    return np.asarray(np.fft.irfft(spectrum, _PIECE, axis=-1)[:, LOWPASS_TAPS - 1 :])


def frame_correlation(pieces: Float64, pitch: Float64) -> Float64:
    """Column 19 of the features.

    Args:
        pieces: ``[F, 480]`` low-passed residual: the two rows before each frame, then its own.
        pitch: ``[F]`` pitch feature [octaves]; the lag is its integer period,
            ``floor(0.5 + 256 / 2^(pitch + 1.5))``.

    Returns:
        ``[F]`` ``ln(1 + e^{5r}) / ln(1 + e^5) - 0.5`` of the normalised correlation r with one lag earlier.
    """
    lag: Int64 = analysis_lag(pitch)
    history = HISTORY_ROWS * FRAME
    current = pieces[:, history:]
    index = np.arange(history, history + FRAME) - lag[:, None]
    earlier = np.take_along_axis(pieces, index, axis=1)
    product = np.sum(current * earlier, axis=-1)
    energy = np.sum(current * current, axis=-1) * np.sum(earlier * earlier, axis=-1)
    r = product / np.sqrt(1.0 + energy)
    return np.asarray(np.log1p(np.exp(5.0 * r)) / np.log1p(np.exp(5.0)) - 0.5)


assert LAG_MAX <= HISTORY_ROWS * FRAME
