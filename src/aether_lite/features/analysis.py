"""Speech to feature rows, a whole clip at once or as it arrives, and the conditioning of recorded speech before.

Features are defined on samples as they are: :func:`extract_features`, ``aether-lite features`` and ``aether-lite
prepare`` do not condition. Codecs do unless told ``condition=False``.

Both ways run the same code: :func:`extract_features` pushes blocks of :data:`BLOCK_FRAMES` frames through a
:class:`StreamingExtractor`. Every step of it works on one frame at a time or adds in an order that does not
depend on the number of frames, so the rows are the same bits however the samples were cut.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from aether_lite.features import layout, pitch
from aether_lite.features.layout import (
    FRAME,
    NUM_ALL,
    Array,
    Float32,
    Float64,
    Int64,
    cepstra_of_windows,
    lpc_from_cepstrum,
)
from aether_lite.features.samples import as_speech, speech_array

BLOCK_FRAMES = 100  # 1 s: bounds the memory of a long clip; its arrays fit the cache


CUTOFF_HZ = 48.0  # -3 dB
ORDER = 4


class Conditioner:
    """Input conditioning of speech that arrives in pieces of any size: a causal high-pass against DC, hum and rumble.

    Butterworth, 4th order, -3 dB at 48 Hz (22.7 dB down at 25 Hz, 0.7 dB at 60 Hz), the bilinear transform of::

        |H(f)|^2 = 1 / (1 + (48 Hz / f)^8)

    No look-ahead. Its group delay falls with frequency: 4 ms at 100 Hz, below 1 ms (a tenth of a frame) from 200 Hz up.
    It runs in blocks of 160 samples counted from the start of the stream, each one product of the same constant matrix,
    so that every way of cutting the samples gives the same bits.
    """

    shapes: Mapping[str, tuple[int, ...]] = {"block": (FRAME,), "filled": (), "memory": (ORDER,)}
    """Shape of every array of :meth:`state`."""

    def __init__(self) -> None:
        self._block, self._filled, self._memory = np.zeros(FRAME), 0, np.zeros(ORDER)

    def push(self, samples: ArrayLike) -> Float64:
        """The next samples, conditioned.

        Args:
            samples: ``[n]`` at 16 kHz, int16 or floating point with full scale 1.

        Returns:
            ``[n] float64``, full scale 1; may pass it.

        Raises:
            AetherError: not one-dimensional, another type, or a value that is not finite.
        """
        given, matrix = as_speech(samples), _block_matrix()
        filtered, done = np.empty(len(given)), 0
        while done < len(given):
            start, count = self._filled, min(FRAME - self._filled, len(given) - done)
            self._block[start : start + count] = given[done : done + count]
            after = matrix @ np.concatenate([self._block, self._memory])
            filtered[done : done + count] = after[start : start + count]
            done, self._filled = done + count, start + count
            if self._filled == FRAME:
                self._block, self._filled, self._memory = np.zeros(FRAME), 0, after[FRAME:]
        return filtered

    def state(self) -> dict[str, Array]:
        """All that later samples depend on, as arrays by name."""
        return {"block": self._block.copy(), "filled": np.array(self._filled), "memory": self._memory}

    def load(self, state: Mapping[str, Array]) -> None:
        """Go on where :meth:`state` was taken, to the bit."""
        self._block, self._filled, self._memory = state["block"].copy(), int(state["filled"]), state["memory"]


def condition(samples: ArrayLike) -> Float64:
    """A whole clip ``[N]``, conditioned: ``[N] float64``; arguments and errors as :meth:`Conditioner.push`."""
    return Conditioner().push(samples)


@cache
def _block_matrix() -> Float64:
    """``[164, 164]``: 160 samples and the memory before them to 160 filtered samples and the memory after them."""
    columns = []
    for unit in np.eye(FRAME + ORDER):
        memory, filtered = unit[FRAME:].copy(), np.empty(FRAME)
        for n, value in enumerate(unit[:FRAME]):
            for place, (b, a) in enumerate(_sections()):  # transposed direct form II
                one, two = 2 * place, 2 * place + 1
                out = b[0] * value + memory[one]
                memory[one] = b[1] * value - a[1] * out + memory[two]
                memory[two] = b[2] * value - a[2] * out
                value = out
            filtered[n] = value
        columns.append(np.concatenate([filtered, memory]))
    return np.stack(columns, axis=1)


def _sections() -> list[tuple[tuple[float, float, float], tuple[float, float, float]]]:
    """Numerator and denominator of each second-order section, by the bilinear transform with its frequency warped."""
    k = math.tan(math.pi * CUTOFF_HZ / layout.SAMPLE_RATE)
    sections = []
    for place in range(ORDER // 2):
        damping = 2 * math.sin(math.pi * (2 * place + 1) / (2 * ORDER))  # 1 / Q
        norm = 1 + damping * k + k * k
        numerator = (1 / norm, -2 / norm, 1 / norm)
        sections.append((numerator, (1.0, 2 * (k * k - 1) / norm, (1 - damping * k + k * k) / norm)))
    return sections


class FrameAnalyser:
    """What needs no pitch, frame after frame: cepstra, LPC and the low-passed residual (20 ms of history)."""

    def __init__(self) -> None:
        self._last_sample = 0.0
        self._emphasised = np.zeros((1, FRAME))
        self._residual = np.zeros((1, FRAME))
        self._lowpassed = np.zeros((pitch.HISTORY_ROWS, FRAME))

    def state(self) -> dict[str, Array]:
        """All that later rows depend on, as arrays by name."""
        return {
            "last_sample": np.array(self._last_sample),
            "emphasised": self._emphasised,
            "residual": self._residual,
            "lowpassed": self._lowpassed,
        }

    def load(self, state: Mapping[str, Array]) -> None:
        """Go on where :meth:`state` was taken; the arrays must have its shapes."""
        self._last_sample = float(state["last_sample"])
        self._emphasised, self._residual, self._lowpassed = (
            state[name] for name in ("emphasised", "residual", "lowpassed")
        )

    def analyse(self, samples: Float64) -> tuple[Float64, Float64]:
        """The next whole frames of samples ``[160 F]`` on the int16 scale, F >= 1.

        Returns ``[F, 36]`` rows, columns 18 and 19 still zero, and ``[F, 480]`` pieces of low-passed residual: the two
        rows before each frame, then its own (see :func:`pitch.frame_correlation`).
        """
        delayed = np.concatenate([[self._last_sample], samples[:-1]])
        emphasised = (samples - layout.PREEMPHASIS * delayed).reshape(-1, FRAME)
        emphasised = np.concatenate([self._emphasised, emphasised])
        windows = np.concatenate([emphasised[:-1], emphasised[1:]], axis=1)
        rows = np.zeros((len(windows), NUM_ALL))
        rows[:, layout.CEPSTRA] = cepstra = cepstra_of_windows(windows)
        rows[:, layout.LPC] = coefficients = lpc_from_cepstrum(cepstra)
        errors = np.concatenate([self._residual, pitch.residual(windows, coefficients)])
        lowpassed = np.concatenate([self._lowpassed, pitch.lowpass(errors[:-1], errors[1:])])
        self._last_sample = float(samples[-1])
        self._emphasised, self._residual = emphasised[-1:].copy(), errors[-1:].copy()
        self._lowpassed = lowpassed[-pitch.HISTORY_ROWS :].copy()
        return rows, np.concatenate([lowpassed[:-2], lowpassed[1:-1], lowpassed[2:]], axis=1)


STATE_SHAPES: dict[str, tuple[int | None, ...]] = {
    "waiting": (None,),
    "held_rows": (None, NUM_ALL),
    "held_pieces": (None, (pitch.HISTORY_ROWS + 1) * FRAME),
    "held_scores": (None, pitch.NUM_LAGS),
    "frames.last_sample": (),
    "frames.emphasised": (1, FRAME),
    "frames.residual": (1, FRAME),
    "frames.lowpassed": (pitch.HISTORY_ROWS, FRAME),
    "tracker.total": (None,),
    "tracker.best": (),
    "tracker.origins": (None, len(pitch.STATE_PERIODS)),
    "contour": (),
}
"""Shape of every array of :meth:`StreamingExtractor.state`; None is any length."""


class StreamingExtractor:
    """Feature rows of speech that arrives in pieces of any size.

    Row t is ready when sample ``160 (t + 1 + TRACKER_LOOKAHEAD_FRAMES)`` has come. Memory is constant.

    Example:
        >>> extractor = StreamingExtractor()
        >>> rows = [extractor.push(np.zeros(400, np.int16)), extractor.flush()]
        >>> np.concatenate(rows).shape
        (2, 36)
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget everything: the next sample is the first of a new stream."""
        self._waiting: NDArray[np.float64] = np.zeros(0)  # less than a frame of samples
        self._frames = FrameAnalyser()
        self._tracker = pitch.PitchTracker()
        self._contour = pitch.VoicedContour()
        self._held_rows: Float64 = np.zeros((0, NUM_ALL))
        self._held_pieces: Float64 = np.zeros((0, (pitch.HISTORY_ROWS + 1) * FRAME))
        self._held_scores: Float64 = np.zeros((0, pitch.NUM_LAGS))

    def state(self) -> dict[str, Array]:
        """All that later rows depend on, as arrays by name; they may share memory with the extractor."""
        own = {
            "waiting": self._waiting,
            "held_rows": self._held_rows,
            "held_pieces": self._held_pieces,
            "held_scores": self._held_scores,
            "contour": np.array(self._contour.value),
        }
        parts = {"frames": self._frames.state(), "tracker": self._tracker.state()}
        return own | {f"{part}.{name}": value for part, values in parts.items() for name, value in values.items()}

    def load(self, state: Mapping[str, Array]) -> None:
        """Go on where :meth:`state` was taken, to the bit; :data:`STATE_SHAPES` has the shapes."""
        self._waiting, self._held_rows, self._held_pieces, self._held_scores = (
            state[name] for name in ("waiting", "held_rows", "held_pieces", "held_scores")
        )
        self._contour = pitch.VoicedContour(float(state["contour"]))
        self._frames.load({name.removeprefix("frames."): value for name, value in state.items()})
        self._tracker.load({name.removeprefix("tracker."): value for name, value in state.items()})

    def push(self, samples: ArrayLike) -> Float32:
        """Take samples ``[n]``, int16 or floating point, return the rows ready now ``[f, 36] float32``."""
        given = as_speech(samples) * layout.INT16_SCALE
        joined = np.concatenate([self._waiting, given]) if len(self._waiting) else given
        whole = len(joined) // FRAME * FRAME
        self._waiting = joined[whole:].copy()
        ready = [
            self._analyse(joined[start : min(start + BLOCK_FRAMES * FRAME, whole)])
            for start in range(0, whole, BLOCK_FRAMES * FRAME)
        ]
        return np.concatenate(ready) if ready else np.zeros((0, NUM_ALL), np.float32)

    def flush(self) -> Float32:
        """End the stream: the rows held back ``[f, 36]``; samples short of a frame are dropped. It is then as new."""
        rows = self._decide(self._tracker.flush())
        self.reset()
        return rows

    def _analyse(self, samples: Float64) -> Float32:
        """Whole frames of samples to the rows that are now decided."""
        rows, pieces = self._frames.analyse(samples)
        scores = pitch.lag_scores(pieces)
        self._held_rows = np.concatenate([self._held_rows, rows])
        self._held_pieces = np.concatenate([self._held_pieces, pieces])
        self._held_scores = np.concatenate([self._held_scores, scores])
        steps = [self._tracker.step(gains) for gains in pitch.state_gains(scores)]
        return self._decide([state for state in steps if state is not None])

    def _decide(self, decided: list[int]) -> Float32:
        """Rows of the oldest frames held, given their pitch states."""
        count = len(decided)
        if count == 0:
            return np.zeros((0, NUM_ALL), np.float32)
        states: Int64 = np.array(decided, dtype=np.int64)
        rows, pieces = self._held_rows[:count], self._held_pieces[:count]
        period = pitch.refine_period(self._held_scores[:count], states)
        # Rounded to float32 first: the lag must follow from the pitch that is written.
        tracked = _float32(layout.pitch_from_period(period).clip(layout.PITCH_MIN, layout.PITCH_MAX))
        correlations = pitch.frame_correlation(pieces, tracked)
        value = _float32(self._contour.limit(tracked, correlations > layout.VOICED_ABOVE))
        moved = value != tracked
        correlations[moved] = pitch.frame_correlation(pieces[moved], value[moved])
        rows[:, layout.PITCH], rows[:, layout.VOICING] = value, correlations
        self._held_rows = self._held_rows[count:].copy()
        self._held_pieces = self._held_pieces[count:].copy()
        self._held_scores = self._held_scores[count:].copy()
        return rows.astype(np.float32)


def _float32(values: Float64) -> Float64:
    """Values rounded to float32."""
    return values.astype(np.float32).astype(np.float64)


def extract_features(samples: ArrayLike) -> Float32:
    """Feature rows of a clip.

    Args:
        samples: ``[N]`` mono at 16 kHz: int16, or floating point with full scale 1 (multiplied by 32768, not rounded).

    Returns:
        ``[floor(N / 160), 36] float32`` rows as in :mod:`aether_lite.features.layout`. Row t is centred on
        sample ``160 t``.

    Raises:
        AetherError: samples of another shape or type, or not finite.
    """
    given = speech_array(samples)
    extractor = StreamingExtractor()
    step = BLOCK_FRAMES * FRAME
    rows = [extractor.push(given[start : start + step]) for start in range(0, len(given), step)]
    return np.concatenate([*rows, extractor.flush()])
