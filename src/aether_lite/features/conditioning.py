"""Input conditioning: what is done to recorded speech before its features are computed.

One stage today, a causal high-pass against DC, hum and rumble: Butterworth, 4th order, -3 dB at 48 Hz (22.7 dB down
at 25 Hz, 0.7 dB at 60 Hz), the bilinear transform of::

    |H(f)|^2 = 1 / (1 + (48 Hz / f)^8)

No look-ahead. Its group delay falls with frequency: 4 ms at 100 Hz, below 1 ms (a tenth of a frame) from 200 Hz up.

Features themselves are defined on samples as they are: :func:`~aether_lite.features.extract_features`, ``aether-lite
features`` and ``aether-lite prepare`` do not condition. Codecs do unless told ``condition=False``.

The filter runs in blocks of 160 samples counted from the start of the stream, each one product of the same constant
matrix, so that every way of cutting the samples gives the same bits.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import cache
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike

from aether_lite.features.analysis import int16_scale
from aether_lite.features.layout import FRAME, INT16_SCALE, SAMPLE_RATE, Array, Float64

CUTOFF_HZ = 48.0  # -3 dB
ORDER = 4

Coefficients = tuple[float, float, float]


class Stage(Protocol):
    """A causal step of conditioning with a state of fixed shapes."""

    shapes: Mapping[str, tuple[int, ...]]

    def push(self, samples: Float64) -> Float64:
        """The next samples ``[n]`` (full scale 1), conditioned: ``[n]``."""

    def state(self) -> dict[str, Array]:
        """All that later samples depend on, as arrays by name."""

    def load(self, state: Mapping[str, Array]) -> None:
        """Go on where :meth:`state` was taken."""


class HighPass:
    """The high-pass of the module's text."""

    shapes: Mapping[str, tuple[int, ...]] = {"block": (FRAME,), "filled": (), "memory": (ORDER,)}

    def __init__(self) -> None:
        self._block, self._filled, self._memory = np.zeros(FRAME), 0, np.zeros(ORDER)

    def push(self, samples: Float64) -> Float64:
        """See :class:`Stage`."""
        matrix, filtered = _block_matrix(), np.empty(len(samples))
        done = 0
        while done < len(samples):
            start, count = self._filled, min(FRAME - self._filled, len(samples) - done)
            self._block[start : start + count] = samples[done : done + count]
            after = matrix @ np.concatenate([self._block, self._memory])
            filtered[done : done + count] = after[start : start + count]
            done, self._filled = done + count, start + count
            if self._filled == FRAME:
                self._block, self._filled, self._memory = np.zeros(FRAME), 0, after[FRAME:]
        return filtered

    def state(self) -> dict[str, Array]:
        """See :class:`Stage`."""
        return {"block": self._block.copy(), "filled": np.array(self._filled), "memory": self._memory}

    def load(self, state: Mapping[str, Array]) -> None:
        """See :class:`Stage`."""
        self._block, self._filled = state["block"].copy(), int(state["filled"])
        self._memory = state["memory"]


STAGES: tuple[Callable[[], Stage], ...] = (HighPass,)
"""What a :class:`Conditioner` does, in order; level handling would be a second entry."""
STATE_SHAPES = {f"{place}.{name}": shape for place, new in enumerate(STAGES) for name, shape in new().shapes.items()}
"""Shape of every array of :meth:`Conditioner.state`."""


class Conditioner:
    """Conditioning of speech that arrives in pieces of any size."""

    def __init__(self) -> None:
        self._stages = [stage() for stage in STAGES]

    def push(self, samples: ArrayLike) -> Float64:
        """The next samples, conditioned.

        Args:
            samples: ``[n]`` at 16 kHz, int16 or floating point with full scale 1.

        Returns:
            ``[n] float64``, full scale 1; may pass it.

        Raises:
            AetherError: not one-dimensional, another type, or a value that is not finite.
        """
        conditioned = int16_scale(samples) / INT16_SCALE
        for stage in self._stages:
            conditioned = stage.push(conditioned)
        return conditioned

    def state(self) -> dict[str, Array]:
        """All that later samples depend on, as arrays by name."""
        states = {str(place): stage.state() for place, stage in enumerate(self._stages)}
        return {f"{place}.{name}": value for place, state in states.items() for name, value in state.items()}

    def load(self, state: Mapping[str, Array]) -> None:
        """Go on where :meth:`state` was taken, to the bit; :data:`STATE_SHAPES` has the shapes."""
        for place, stage in enumerate(self._stages):
            own = f"{place}."
            stage.load({name.removeprefix(own): value for name, value in state.items() if name.startswith(own)})


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


def _sections() -> list[tuple[Coefficients, Coefficients]]:
    """Numerator and denominator of each second-order section, by the bilinear transform with its frequency warped."""
    k = math.tan(math.pi * CUTOFF_HZ / SAMPLE_RATE)
    sections = []
    for place in range(ORDER // 2):
        damping = 2 * math.sin(math.pi * (2 * place + 1) / (2 * ORDER))  # 1 / Q
        norm = 1 + damping * k + k * k
        numerator = (1 / norm, -2 / norm, 1 / norm)
        sections.append((numerator, (1.0, 2 * (k * k - 1) / norm, (1 - damping * k + k * k) / norm)))
    return sections
