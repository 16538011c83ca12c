"""Kernels that numba compiles when first used, for one core, and the order in which they read matrices.

A matrix ``[outputs, inputs]`` becomes panels of 32 outputs; a panel holds, for each input, the weights of its 32
outputs. Outputs are padded by zeros to whole panels. All matrices of a network lie in one array, in the order of use.
Only the modules of the kernels import numba; this one does not.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from aether_lite.optional import missing_packages, require_packages

PANEL = 32  # outputs
ALIGNMENT = 64  # bytes; a cache line


def numba_available() -> bool:
    """Whether the extra ``realtime`` is installed."""
    return not missing_packages(("numba",))


def require_numba(what: str) -> None:
    """Raise AetherError naming the extra where numba is not installed; ``what`` ("the compiled vocoder") needs it."""
    require_packages(what, ("numba",), "realtime")


def plain_array(value: Tensor) -> NDArray[np.float32]:
    """A contiguous copy."""
    array: NDArray[np.float32] = value.to(torch.float32).numpy(force=True)
    return array.copy()


def pack_matrices(matrices: Sequence[Tensor]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Pack matrices ``[outputs, inputs]`` one after the other.

    Returns:
        ``[N]`` packed weights, from a cache line on; ``[matrices, 4] int64`` places: start in the weights, start among
        the outputs of all matrices, inputs, outputs with their padding.
    """
    panels, places = [], []
    weights_at = outputs_at = 0
    for matrix in matrices:
        weight = plain_array(matrix)
        weight = np.pad(weight, ((0, -len(weight) % PANEL), (0, 0)))
        outputs, inputs = weight.shape
        places.append((weights_at, outputs_at, inputs, outputs))
        panels.append(weight.reshape(-1, PANEL, inputs).swapaxes(1, 2).reshape(-1))
        weights_at += weight.size
        outputs_at += outputs
    room = np.empty(4 * weights_at + ALIGNMENT, np.uint8)
    start = -room.ctypes.data % ALIGNMENT
    packed = room[start : start + 4 * weights_at].view(np.float32)
    np.concatenate(panels, out=packed)
    return packed, np.array(places, np.int64)
