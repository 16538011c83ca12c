"""Matrices in the order in which the compiled kernels read them.

A matrix ``[outputs, inputs]`` becomes panels of 32 outputs. A float32 panel holds, for each input, the weights of
its 32 outputs; an int8 panel holds, for each pair of inputs, two weights of each of its 32 outputs. Outputs are
padded by zeros to whole panels. All matrices of a network lie in one array, in the order of use.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Weights = NDArray[Any]  # float32 or int8
Precision = Literal["float32", "int8"]
PRECISIONS: tuple[Precision, ...] = get_args(Precision)

PANEL = 32  # outputs
ACTIVATION_STEPS = 16383  # of an int16 input in [0, 1]: 127 * 16383 * 688 inputs stays below 2^31
WEIGHT_STEPS = 127  # of an int8 weight, for the largest of each output
ALIGNMENT = 64  # bytes; a cache line


def plain_array(value: Tensor) -> NDArray[np.float32]:
    """A contiguous copy."""
    array: NDArray[np.float32] = value.to(torch.float32).numpy(force=True)
    return array.copy()


def pack_matrices(
    matrices: Sequence[Tensor], precision: Precision
) -> tuple[Weights, NDArray[np.float32], NDArray[np.int64]]:
    """Pack matrices ``[outputs, inputs]`` one after the other.

    Returns:
        ``[N]`` packed weights; ``[outputs of all] float32`` scales: value of a sum of int8 products, 1 for float32;
        ``[matrices, 4] int64`` places: start in the weights, start in the scales, inputs, outputs with their padding.
    """
    panels, scales, places = [], [], []
    weights_at = scales_at = 0
    for matrix in matrices:
        weight = plain_array(matrix)
        weight = np.pad(weight, ((0, -len(weight) % PANEL), (0, 0)))
        outputs, inputs = weight.shape
        places.append((weights_at, scales_at, inputs, outputs))
        if precision == "int8":
            steps, step = quantised(weight)
            panels.append(_panels(steps, 2))
            scales.append(step / np.float32(ACTIVATION_STEPS))
        else:
            panels.append(_panels(weight, 1))
            scales.append(np.ones(outputs, np.float32))
        weights_at += weight.size
        scales_at += outputs
    return _aligned(np.concatenate(panels)), np.concatenate(scales), np.array(places, np.int64)


def _panels(weight: Weights, together: int) -> Weights:
    """``[outputs, inputs]`` in the order of the panels; ``together`` inputs of an output are neighbours."""
    grouped = weight.reshape(len(weight) // PANEL, PANEL, -1, together)
    return np.ascontiguousarray(grouped.swapaxes(1, 2)).reshape(-1)


def quantised(weight: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Weights ``[outputs, inputs]`` in steps of int8, and the step ``[outputs]`` of each output."""
    step = np.abs(weight).max(axis=1) / np.float32(WEIGHT_STEPS)
    step[step == 0] = 1.0
    return np.rint(weight / step[:, None]).astype(np.int8), step


def _aligned(values: Weights) -> Weights:
    """A copy that starts on a cache line."""
    room = np.empty(values.nbytes + ALIGNMENT, np.uint8)
    start = -room.ctypes.data % ALIGNMENT
    copy: Weights = room[start : start + values.nbytes].view(values.dtype)
    copy[:] = values
    return copy
