"""Fundamental frequency, a smooth track defined on every frame, and the frame correlation (how voiced a frame is).

The tracker works on the low-passed prediction residual, on the 160 samples of the frame against the 160 samples one lag
earlier. With energies E0 and E_lag and the difference function ``d(lag) = sum (a[n] - a[n - lag])^2``, its score is
YIN's difference by energy::

    score(lag) = 1 - d / (1 + E0 + E_lag) ~ 2 <a, b> / (1 + E0 + E_lag)

States are :data:`STATES_PER_OCTAVE` periods an octave over 32..256 samples. A state gains q = score^3 (0
where negative), so that frames without periodicity weigh little and the path holds its course there; less
:data:`MULTIPLE_PENALTY` of the q at a half and a third of its lag, since a multiple of the period scores as
well as the period; times ``1 +`` :data:`OCTAVE_BIAS` for each octave above 62.5 Hz. A path pays
:data:`STEP_COST` per octave it moves between frames, at most :data:`JUMP_COST`. Frame t is decided
:data:`TRACKER_LOOKAHEAD_FRAMES` frames later and refined between samples by a parabola.

The constants were chosen on 41 clips of speech against a probabilistic YIN: with a look-ahead of 0, 1, 2 frames 1.3,
1.0, 0.9 % of its voiced frames are an octave off, and 0.5, 0.3, 0.2 % of its voiced steps jump (means over clips).

Without periodicity the path is arbitrary and may run to an end of the range. On unvoiced frames the pitch is
therefore limited to :data:`UNVOICED_REACH` around the recent voiced pitch (:class:`VoicedContour`).

For frame t the residual ``e = A(z) y`` covers the 160 pre-emphasised samples ``[160 t - 80, 160 t + 80)``,
each frame with its own A(z), the signal itself as the filter's memory. A low-pass of about 1.2 kHz follows::

    H(z) = (1 - 0.84946 z^-1 + z^-2) / (1 - 1.54220 z^-1 + 0.70781 z^-2)

It runs here as an FIR of its first :data:`LOWPASS_TAPS` samples (poles at radius 0.841: the rest is below
1e-9), so that a frame depends on a bounded past and gives the same bits streamed or not.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from aether_lite.features.layout import FRAME, LAG_MAX, LAG_MIN, LPC_ORDER, Array, Float64, Int64, analysis_lag

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
    """Prediction residual ``[F, 160]`` of the samples ``[160 t - 80, 160 t + 80)``, by coefficients ``lpc [F, 16]``.

    ``windows [F, 320]`` are pre-emphasised samples ``[160 (t-1), 160 (t+1))``.
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
    """Column 19 ``[F]``: ``ln(1 + e^{5r}) / ln(1 + e^5) - 0.5``, r the normalised correlation with one lag earlier.

    ``pieces [F, 480]`` of low-passed residual hold the two rows before each frame, then its own; the lag is the integer
    period ``floor(0.5 + 256 / 2^(pitch + 1.5))`` of ``pitch [F]`` [octaves].
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


TRACKER_LOOKAHEAD_FRAMES = 1  # frames of 10 ms
ROW_LOOKAHEAD_SAMPLES = FRAME + FRAME * TRACKER_LOOKAHEAD_FRAMES  # newest sample row t needs, minus 160 t
STATES_PER_OCTAVE = 40
STEP_COST = 1.0  # gain per octave moved in one frame
STEP_REACH = 0.25  # octaves a path moves in one frame without a jump
JUMP_COST = 1.0  # gain
REFINE_STATES = 1  # how far from a decided state its peak may lie
OCTAVE_BIAS = 0.3  # share of the gain per octave, in favour of short periods
MULTIPLE_PENALTY = 0.3  # share of the gain at a half or a third of the lag
UNVOICED_REACH = 0.25  # octaves an unvoiced frame may lie from the voiced contour
CONTOUR_REST = 0.0  # octaves (177 Hz); the contour before the first voiced frame
CONTOUR_STEP = 0.5  # share of the way the contour moves to each voiced frame
CONTOUR_LIMIT = 1.2  # octaves either side of 0: unvoiced periods stay within 33..248 samples

_OCTAVES = 3  # 32 .. 256 samples
_NUM_STATES = _OCTAVES * STATES_PER_OCTAVE + 1
_GUARD = 2  # lags beyond the range, for interpolation at its ends
_FIRST_LAG, _LAST_LAG = LAG_MIN - _GUARD, LAG_MAX + _GUARD
_LAGS: Int64 = np.arange(_FIRST_LAG, _LAST_LAG + 1)
NUM_LAGS = len(_LAGS)
_SEGMENT = FRAME + _LAST_LAG  # samples a frame and its largest lag span
_SCORE_FFT = 432  # >= _SEGMENT, and a product of small primes
STATE_PERIODS: Float64 = LAG_MAX / np.exp2(np.arange(_NUM_STATES) / STATES_PER_OCTAVE)


def lag_scores(pieces: Float64) -> Float64:
    """Normalised correlation of each frame with one lag earlier, ``[F, 229]`` in (-1, 1] of the lags 30..258 samples.

    ``pieces [F, 480]`` of low-passed residual hold the two rows before each frame, then its own.
    """
    segment = pieces[:, -_SEGMENT:]
    current = pieces[:, -FRAME:]
    cross = np.fft.rfft(segment, _SCORE_FFT, axis=-1)
    cross *= np.conj(np.fft.rfft(current, _SCORE_FFT, axis=-1))
    product = np.fft.irfft(cross, _SCORE_FFT, axis=-1)[:, : len(_LAGS)][:, ::-1]
    energy = np.zeros((len(pieces), _SEGMENT + 1))
    np.cumsum(segment * segment, axis=-1, out=energy[:, 1:])
    start = _LAST_LAG - _LAGS
    earlier = energy[:, start + FRAME] - energy[:, start]
    own = np.sum(current * current, axis=-1)
    return np.asarray(2.0 * product / (1.0 + own[:, None] + earlier))


def _state_lags() -> Int64:
    """``[S, m]`` indices into the lags: the integer lags within half a state, repeated to equal number."""
    half = 2.0 ** (0.5 / STATES_PER_OCTAVE)
    rows = []
    for period in STATE_PERIODS:
        inside = np.flatnonzero((period / half <= _LAGS) & (period * half >= _LAGS))
        rows.append(inside if len(inside) else np.array([round(period) - _FIRST_LAG]))
    widest = max(len(row) for row in rows)
    return np.array([np.resize(row, widest) for row in rows], dtype=np.int64)


_STATE_LAGS = _state_lags()
_FLOOR: Int64 = np.floor(STATE_PERIODS).astype(np.int64)
_FRACTION: Float64 = STATE_PERIODS - _FLOOR


_OCTAVE_WEIGHT: Float64 = 1.0 + OCTAVE_BIAS * np.arange(_NUM_STATES) / STATES_PER_OCTAVE
_HALF, _THIRD = STATES_PER_OCTAVE, round(np.log2(3.0) * STATES_PER_OCTAVE)  # states up to half, third of a lag


def state_gains(scores: Float64) -> Float64:
    """What each state gains ``[F, 121]`` by lag scores ``[F, 229]``; in 0 .. 1.9."""
    below = scores[:, _FLOOR - _FIRST_LAG]
    best = below + _FRACTION * (scores[:, _FLOOR + 1 - _FIRST_LAG] - below)
    for column in range(_STATE_LAGS.shape[1]):
        np.maximum(best, scores[:, _STATE_LAGS[:, column]], out=best)
    np.maximum(best, 0.0, out=best)
    gains = best * best * best
    shorter = np.zeros_like(gains)
    shorter[:, :-_HALF] = gains[:, _HALF:]
    np.maximum(shorter[:, :-_THIRD], gains[:, _THIRD:], out=shorter[:, :-_THIRD])
    return np.maximum(gains - MULTIPLE_PENALTY * shorter, 0.0) * _OCTAVE_WEIGHT


def refine_period(scores: Float64, states: Int64) -> Float64:
    """Real-valued periods ``[F]`` [samples, 32..256] near the decided states ``[F]``.

    The highest local maximum among the lags within :data:`REFINE_STATES` of the state is refined by a parabola;
    where there is none the state's own period stands.
    """
    period = STATE_PERIODS[states]
    width = 2.0 ** (REFINE_STATES / STATES_PER_OCTAVE)
    low = np.ceil(period / width - 0.5)
    high = np.floor(period * width + 0.5)
    middle = scores[:, 1:-1]
    is_peak = (middle >= scores[:, :-2]) & (middle >= scores[:, 2:])
    is_peak &= (low[:, None] <= _LAGS[1:-1]) & (high[:, None] >= _LAGS[1:-1])
    at = 1 + np.argmax(np.where(is_peak, middle, -np.inf), axis=-1)
    frame = np.arange(len(scores))
    left, top, right = scores[frame, at - 1], scores[frame, at], scores[frame, at + 1]
    curvature = left - 2.0 * top + right
    usable = is_peak[frame, at - 1] & (curvature < 0)
    shift = 0.5 * (left - right) / np.where(usable, curvature, 1.0)
    return np.asarray(np.clip(np.where(usable, _LAGS[at] + shift, period), LAG_MIN, LAG_MAX))


_REACH = round(STEP_REACH * STATES_PER_OCTAVE)
_STEP_COSTS: Float64 = STEP_COST * np.abs(np.arange(-_REACH, _REACH + 1)) / STATES_PER_OCTAVE
_STATE_INDEX: Int64 = np.arange(_NUM_STATES)


class PitchTracker:
    """Viterbi search with decisions a fixed number of frames late.

    Frames go in one at a time (:meth:`step`); memory and time per frame are constant.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget everything."""
        self._total: Float64 = np.zeros(0)  # gain of the best path to each state, relative to the best of all
        self._best = 0  # where the best of all ends
        self._padded = np.full(_NUM_STATES + 2 * _REACH, -np.inf)
        self._moves = np.lib.stride_tricks.sliding_window_view(self._padded, 2 * _REACH + 1)
        self._origins: list[Int64] = []  # where the states of each frame not yet decided came from

    def state(self) -> dict[str, Array]:
        """All that later decisions depend on, as arrays by name."""
        origins = np.array(self._origins, dtype=np.int64).reshape(-1, _NUM_STATES)
        return {"total": self._total, "best": np.array(self._best), "origins": origins}

    def load(self, state: Mapping[str, Array]) -> None:
        """Go on where :meth:`state` was taken; the arrays must have its shapes."""
        self._total, self._best = state["total"], int(state["best"])
        self._origins = list(state["origins"])

    def step(self, gains: Float64) -> int | None:
        """Take one frame's gains ``[121]``; returns the state of the frame that is now due, if any."""
        if len(self._total) == 0:
            total = gains
            self._origins.append(_STATE_INDEX)
        else:
            self._padded[_REACH : _REACH + _NUM_STATES] = self._total
            moved = self._moves - _STEP_COSTS
            choice = moved.argmax(axis=1)
            total = moved[_STATE_INDEX, choice]
            self._origins.append(np.where(total < -JUMP_COST, self._best, _STATE_INDEX + (choice - _REACH)))
            total = np.maximum(total, -JUMP_COST) + gains
        self._best = int(total.argmax())
        self._total = total - total[self._best]
        if len(self._origins) <= TRACKER_LOOKAHEAD_FRAMES:
            return None
        state = self._path()[0]
        self._origins.pop(0)
        return state

    def flush(self) -> list[int]:
        """States of the frames still held back, decided without look-ahead; the tracker starts anew."""
        states = self._path() if self._origins else []
        self.reset()
        return states

    def _path(self) -> list[int]:
        """The best path's states in the frames not yet decided, oldest first."""
        path = [self._best]
        for origin in self._origins[:0:-1]:
            path.append(int(origin[path[-1]]))
        return path[::-1]


class VoicedContour:
    """Slow average of the voiced pitch; holds over unvoiced frames and limits their pitch.

    Causal, one number of memory, frame by frame, so streaming and batch give the same bits.
    """

    def __init__(self, value: float = CONTOUR_REST) -> None:
        self.value = value  # octaves

    def limit(self, track: Float64, voiced: NDArray[np.bool_]) -> Float64:
        """Pitch ``[F]`` [octaves] of the next frames: voiced ones as in ``track``, the others near the contour."""
        limited = track.copy()
        for frame, (pitch, is_voiced) in enumerate(zip(track.tolist(), voiced.tolist(), strict=True)):
            if is_voiced:
                followed = self.value + CONTOUR_STEP * (pitch - self.value)
                self.value = min(max(followed, -CONTOUR_LIMIT), CONTOUR_LIMIT)
            else:
                limited[frame] = min(max(pitch, self.value - UNVOICED_REACH), self.value + UNVOICED_REACH)
        return limited
