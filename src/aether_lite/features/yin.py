"""Hard YIN: one F0 estimate for each frame on its own, as used for labels and for measuring.

A. de Cheveigne and H. Kawahara, "YIN, a fundamental frequency estimator for speech and music", JASA 111 (4), 2002.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from aether_lite.features.layout import FRAME, SAMPLE_RATE, Float64, Int64
from aether_lite.features.samples import numbers

YIN_FMIN, YIN_FMAX = 62.5, 500.0  # Hz
YIN_FRAME_LENGTH = 640  # samples: 40 ms, two and a half of the longest periods
YIN_THRESHOLD = 0.1
_BLOCK = 256  # frames computed at a time


def yin(
    samples: ArrayLike,
    fmin: float = YIN_FMIN,
    fmax: float = YIN_FMAX,
    frame_length: int = YIN_FRAME_LENGTH,
    center: bool = True,
) -> Float64:
    """Fundamental frequency of each frame by YIN.

    With x one frame of W samples, ``r`` its autocorrelation and ``h_k`` the energy of its first k samples, the
    difference function is ``d(k) = 2 (r_0 - r_k) - h_k`` (zeros follow the frame), divided by its mean over
    lags 1..k. The first trough below :data:`YIN_THRESHOLD` is taken, or else the smallest value; a parabola refines it.

    No tracking, no voicing: an unvoiced frame gets some value too. The feature extractor's own pitch column
    comes from the tracker in :mod:`aether_lite.features.pitch` instead, whose settings are: the same range of
    lags (32..256 samples), frames of 160 samples (against one lag earlier) instead of 640, 40 states per
    octave, no threshold, and a look-ahead of 1 frame.

    Args:
        samples: ``[N]`` mono at 16 kHz, any scale.
        fmin: lowest frequency [Hz].
        fmax: highest frequency [Hz].
        frame_length: samples in a frame, longer than ``16000 / fmin``.
        center: frame t is centred on sample ``160 t`` (zeros around the clip) instead of starting there.

    Returns:
        ``[F]`` F0 [Hz]; ``F = 1 + N // 160`` where centred, else ``1 + (N - frame_length) // 160``.

    Raises:
        ValueError: samples not ``[N]`` or too few, or the range does not fit the frame.
    """
    x = numbers(samples, "samples").astype(np.float64)
    if x.ndim != 1:
        raise ValueError(f"samples must be [N], not {x.shape}")
    if not 0 < fmin < fmax <= SAMPLE_RATE / 2:
        raise ValueError(f"0 < fmin < fmax <= {SAMPLE_RATE / 2:g} Hz does not hold for {fmin} and {fmax}")
    shortest, longest = int(np.floor(SAMPLE_RATE / fmax)), int(np.ceil(SAMPLE_RATE / fmin))
    if longest > frame_length - 1:
        raise ValueError(f"a frame of {frame_length} samples is too short for {fmin} Hz")
    if center:
        x = np.pad(x, frame_length // 2)
    if len(x) < frame_length:
        raise ValueError(f"{len(x)} samples are less than one frame of {frame_length}")
    frames = np.lib.stride_tricks.sliding_window_view(x, frame_length)[::FRAME]
    starts = range(0, len(frames), _BLOCK)
    periods = [_periods(frames[start : start + _BLOCK], shortest, longest) for start in starts]
    return SAMPLE_RATE / np.concatenate(periods)


def normalised_difference(frames: Float64, shortest: int, longest: int) -> Float64:
    """Cumulative-mean-normalised difference ``[F, longest - shortest + 1]`` of ``frames [F, W]``."""
    length = frames.shape[1]
    size = 1 << (length + longest).bit_length()
    spectrum = np.fft.rfft(frames, size, axis=-1)
    autocorrelation = np.fft.irfft(spectrum.real**2 + spectrum.imag**2, size, axis=-1)[:, : longest + 1]
    head = np.cumsum(frames[:, :longest] ** 2, axis=-1)
    difference = 2.0 * (autocorrelation[:, :1] - autocorrelation[:, 1:]) - head
    mean = np.cumsum(difference, axis=-1) / np.arange(1, longest + 1)
    wanted = slice(shortest - 1, longest)
    return np.asarray(difference[:, wanted] / (mean[:, wanted] + np.finfo(np.float64).tiny))


def _periods(frames: Float64, shortest: int, longest: int) -> Float64:
    """Real-valued period ``[F]`` [samples] of each frame."""
    value = normalised_difference(frames, shortest, longest)
    trough = np.zeros(value.shape, dtype=bool)
    trough[:, 0] = value[:, 0] < value[:, 1]
    trough[:, 1:-1] = (value[:, 1:-1] < value[:, :-2]) & (value[:, 1:-1] <= value[:, 2:])
    trough[:, -1] = value[:, -1] < value[:, -2]
    deep = trough & (value < YIN_THRESHOLD)
    lag: Int64 = np.where(deep.any(axis=-1), np.argmax(deep, axis=-1), np.argmin(value, axis=-1))
    row, centre = np.arange(len(value)), np.clip(lag, 1, value.shape[1] - 2)
    left, middle, right = value[row, centre - 1], value[row, centre], value[row, centre + 1]
    curvature = left - 2.0 * middle + right
    slope = 0.5 * (right - left)
    refinable = (lag == centre) & (np.abs(slope) < np.abs(curvature))
    shift = np.where(refinable, slope / np.where(refinable, curvature, 1.0), 0.0)
    return np.asarray(shortest + lag - shift, dtype=np.float64)
