"""A sound device and a slow computation: the device's callback only moves samples, a worker thread computes.

    microphone -> callback -> bounded queue -> worker: process -> bounded queue -> callback -> loudspeaker

The worker gives whole tokens at a time, the device wants a little at a time, so playing begins (and begins anew after
it ran dry) when a reserve has gathered.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

Float32 = NDArray[np.float32]

QUEUE_BLOCKS = 64  # in each direction; with blocks of 20 ms more than a second
RESERVE_SAMPLES = 1920  # 120 ms: a token and half of the next, gathered before playing begins
_PATIENCE_S = 0.1  # how long the worker waits before it looks whether it should end


class Duplex:
    """Runs ``process`` on what a device records and plays what it returns; a context manager.

    Args:
        process: ``[n] float32`` recorded samples to ``[m] float32`` samples to play; called in one thread.
        reserve: samples gathered before playing begins.

    Attributes:
        underruns: how often the loudspeaker ran dry.
        overruns: recorded blocks that were dropped because the worker was too slow.
        failure: what ``process`` raised, if it did; nothing is computed after that.
    """

    def __init__(self, process: Callable[[Float32], Float32], reserve: int = RESERVE_SAMPLES) -> None:
        self._process, self._reserve = process, reserve
        self._recorded: queue.Queue[Float32] = queue.Queue(QUEUE_BLOCKS)
        self._made: queue.Queue[Float32] = queue.Queue(QUEUE_BLOCKS)
        self._rest = np.zeros(0, np.float32)  # of the piece that is being played
        self._written = self._played = 0  # samples; each counted by one thread only
        self._playing = False
        self._ended = threading.Event()
        self._worker = threading.Thread(target=self._work, name="aether-lite duplex", daemon=True)
        self.underruns = self.overruns = 0
        self.failure: Exception | None = None

    def __enter__(self) -> Duplex:
        self._worker.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._worker.join()

    def callback(self, recorded: NDArray[Any], played: NDArray[Any], frames: int, time: Any, status: Any) -> None:
        """A device's callback: ``recorded [frames, 1 or more]`` in, ``played [frames, 1 or more]`` filled in place."""
        try:
            self._recorded.put_nowait(recorded[:, 0].astype(np.float32))
        except queue.Full:
            self.overruns += 1
        played[:] = self._next(frames)[:, None]

    @property
    def buffered(self) -> int:
        """Samples made and not yet played."""
        return self._written - self._played

    def _next(self, frames: int) -> Float32:
        """The next ``frames`` samples for the loudspeaker; silence where there are none."""
        if not self._playing and self.buffered < max(self._reserve, frames):
            return np.zeros(frames, np.float32)
        self._playing = True
        pieces, missing = [], frames
        while missing:
            if not len(self._rest):
                try:
                    self._rest = self._made.get_nowait()
                except queue.Empty:
                    self.underruns += 1
                    self._playing = False
                    pieces.append(np.zeros(missing, np.float32))
                    break
            pieces.append(self._rest[:missing])
            self._rest = self._rest[missing:]
            missing -= len(pieces[-1])
            self._played += len(pieces[-1])
        return np.concatenate(pieces)

    def _work(self) -> None:
        while not self._ended.is_set():
            try:
                block = self._recorded.get(timeout=_PATIENCE_S)
            except queue.Empty:
                continue
            try:
                samples = self._process(block)
            except Exception as error:  # kept for the thread that looks at the device
                self.failure = error
                return
            if len(samples):
                self._hand_over(samples)

    def _hand_over(self, samples: Float32) -> None:
        """Queue samples for the loudspeaker; waits while a second of them is there already."""
        while not self._ended.is_set():
            try:
                self._made.put(samples, timeout=_PATIENCE_S)
            except queue.Full:
                continue
            self._written += len(samples)
            return
