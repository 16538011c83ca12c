"""Batches of audio clip by clip, for metrics that packages compute of one clip."""

from __future__ import annotations

import hashlib
import math
from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import numpy as np
import soxr
from numpy.typing import NDArray

from aether_lite.features.layout import SAMPLE_RATE
from aether_lite.payload import namespace

if TYPE_CHECKING:
    from torch import Tensor

Float32 = NDArray[np.float32]
Result = TypeVar("Result")

NAN = math.nan
CACHED_CLIPS = 4096
NARROW_RATE = SAMPLE_RATE // 2  # [Hz]: speech up to 4 kHz


def check_audio(*signals: Tensor) -> None:
    """ValueError unless signals are all ``[..., N]`` of one shape, of real finite numbers."""
    first = signals[0]
    if first.ndim < 1 or any(signal.shape != first.shape for signal in signals):
        raise ValueError(
            f"audio must be [..., N] of one shape, not {' and '.join(str(tuple(s.shape)) for s in signals)}"
        )
    for signal in signals:
        if "float" not in str(signal.dtype):
            raise ValueError(f"audio must be of floating point on the scale +-1, not {signal.dtype}")
        if not namespace(signal).isfinite(signal).all():
            raise ValueError("audio must be finite: there are NaN or infinite samples")


def flat(signal: Tensor) -> Tensor:
    """``[..., N]`` as ``[clips, N]``, also where one of them is 0."""
    return signal.reshape(math.prod(signal.shape[:-1]), signal.shape[-1])


def narrow_band(signal: Tensor) -> Tensor:
    """``[..., N / 2] float32`` at 8 kHz of a signal ``[..., N]`` at 16 kHz: its content up to 4 kHz (soxr HQ)."""
    narrow = soxr.resample(np.ascontiguousarray(_rows(signal).T), SAMPLE_RATE, NARROW_RATE).T
    return _like(signal, np.ascontiguousarray(narrow)).reshape(*signal.shape[:-1], narrow.shape[-1])


def each_clip(measure: Callable[..., float], *signals: Tensor) -> Tensor:
    """``[...] float32`` on the CPU: ``measure`` of one ``[N] float32`` array of each of the ``signals [..., N]``."""
    check_audio(*signals)
    values = [measure(*clips) for clips in zip(*map(_rows, signals), strict=True)]
    return _like(signals[0], np.array(values, np.float32)).reshape(signals[0].shape[:-1])


def _rows(signal: Any) -> Float32:
    """``[clips, N] float32`` array of a tensor or array ``[..., N]``."""
    rows: Float32 = signal.astype(np.float32) if isinstance(signal, np.ndarray) else signal.float().numpy(force=True)
    return rows.reshape(math.prod(rows.shape[:-1]), rows.shape[-1])


def _like(signal: Any, values: Float32) -> Tensor:
    """The values as a tensor on the CPU or an array, as the signal is one."""
    made: Any = values if isinstance(signal, np.ndarray) else namespace(signal).from_numpy(values)
    return made  # type: ignore[no-any-return]


class ClipCache(Generic[Result]):
    """A function of one clip ``[N] float32``, computed once for each: originals come back at every condition.

    ``clips`` results are kept; the least recently used one goes first.
    """

    def __init__(self, measure: Callable[[Float32], Result], clips: int = CACHED_CLIPS) -> None:
        self._measure = measure
        self._clips = clips
        self._known: OrderedDict[bytes, Result] = OrderedDict()

    def __call__(self, audio: Float32) -> Result:
        key = hashlib.sha256(np.ascontiguousarray(audio, np.float32).data).digest()
        if key not in self._known:
            self._known[key] = self._measure(audio)
            if len(self._known) > self._clips:
                self._known.popitem(last=False)
        self._known.move_to_end(key)
        return self._known[key]


def silent(audio: NDArray[Any]) -> bool:
    return not audio.any()
