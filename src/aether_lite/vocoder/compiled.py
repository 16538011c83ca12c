"""FARGAN on one core of a plain CPU, in kernels that numba compiles when first used.

Processor time over playing time of one stream on an AMD EPYC with AVX2 (``benchmarks/vocoder_cpu.py``):

=============================  ==============  ===============  ===========
one stream                     frame by frame  8 frames a call  1 s a call
=============================  ==============  ===============  ===========
torch, plain                            0.343
torch, fused                            0.153            0.084        0.072
ONNX Runtime, float32 / int8    0.074 / 0.062
compiled                                0.026            0.021        0.019
=============================  ==============  ===============  ===========

It differs from torch by noise 110 dB below the signal. Compiling takes 5 to 10 s once (and once more for batches),
then the code comes from numba's cache.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from aether_lite.features.layout import FRAME, NUM_FREE
from aether_lite.native import numba_available, require_numba
from aether_lite.native.fargan_weights import CARRIED, ROW_LENGTH, pack
from aether_lite.vocoder.fargan import DELAY, FARGAN, MEMORY, SubframeState
from aether_lite.vocoder.fused import PRIMING_ROWS, FrameState, FusedFargan
from aether_lite.vocoder.synthesis import FrameVocoder

TOGETHER = 2  # streams that share one pass over the weights; four would need more registers than AVX2 has


def fastest_vocoder(model: FARGAN) -> FrameVocoder:
    """Freeze ``model`` for synthesis where it lies: compiled on a CPU where numba is installed, else fused."""
    on_cpu = next(model.parameters()).device.type == "cpu"
    return CompiledFargan(model) if on_cpu and numba_available() else FusedFargan(model)


class CompiledFargan:
    """FARGAN frozen for synthesis on a CPU; see :class:`~aether_lite.vocoder.synthesis.FrameVocoder`. Needs numba.

    The samples of a stream are the same to the bit in every run on a machine, however the rows are cut into calls and
    whatever streams are beside it. Batches use as many threads as torch does (``torch.set_num_threads``). States hold
    float32 tensors on the CPU. Later changes of the model are not seen.
    """

    device = torch.device("cpu")
    delay = DELAY

    def __init__(self, model: FARGAN) -> None:
        require_numba("the compiled vocoder")
        self._weights = pack(model)

    def prime(self, first_row: Tensor) -> FrameState:
        """State before the first frame ``[B, 20]``."""
        return self._run(first_row[:, None], FrameState.before(first_row), audible=False)[1]

    def render(self, rows: Tensor, state: FrameState) -> tuple[Tensor, FrameState]:
        """One frame for each new row ``[B, n, 20]``: ``[B, 160 n]``, and the new state."""
        return self._run(rows, state, audible=True)

    def _run(self, new_rows: Tensor, state: FrameState, audible: bool) -> tuple[Tensor, FrameState]:
        """Samples ``[B, 160 n]``; zeros (the network still runs) when not ``audible``."""
        from aether_lite.native.fargan import render_frames

        if new_rows.ndim != 3 or new_rows.shape[1] == 0 or new_rows.shape[2] != NUM_FREE:
            raise ValueError(f"rows must be [B, >= 1, {NUM_FREE}], not {tuple(new_rows.shape)}")
        rows = np.ascontiguousarray(np.concatenate((_array(state.rows), _array(new_rows)), axis=1))
        batch, frames = rows.shape[0], rows.shape[1] - PRIMING_ROWS
        signal = np.empty((batch, MEMORY + FRAME * frames), np.float32)
        samples = np.empty((batch, FRAME * frames), np.float32)
        values = np.empty((batch, ROW_LENGTH), np.float32)
        signal[:, :MEMORY] = _array(state.signal.memory)
        for name, part in CARRIED.items():
            values[:, part] = _array(getattr(state.signal, name)).reshape(batch, -1)

        def work(start: int) -> None:
            arrays = [array[start : start + together] for array in (rows, signal, samples, values)]
            render_frames(self._weights, *arrays, np.float32(audible), (0,) * len(arrays[0]))

        threads = torch.get_num_threads()
        together = min(TOGETHER, -(-batch // threads))
        starts = range(0, batch, together)
        if len(starts) > 1 and threads > 1:
            with ThreadPoolExecutor(threads) as pool:
                list(pool.map(work, starts))
        else:
            for start in starts:
                work(start)
        carried = {name: torch.from_numpy(values[:, part].copy()) for name, part in CARRIED.items()}
        carried["deemphasis"] = carried["deemphasis"][:, 0]
        memory = torch.from_numpy(signal[:, -MEMORY:].copy())
        newest = torch.from_numpy(rows[:, -PRIMING_ROWS:].copy())
        return torch.from_numpy(samples), FrameState(newest, SubframeState(memory, **carried))


def _array(value: Tensor) -> NDArray[np.float32]:
    """Float32 values on the CPU; not a copy if they are that already."""
    plain = value.is_cpu and value.dtype == torch.float32 and not value.requires_grad  # three times as fast to take
    array: NDArray[np.float32] = value.numpy() if plain else value.to(torch.float32).numpy(force=True)
    return array
