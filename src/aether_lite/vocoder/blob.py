"""FARGAN's weights in the binary weights file of Opus ("DNNw" records), in float or int8.

The file is a row of records, each a header of 64 bytes and data padded to 64 bytes, little-endian: ``DNNw``, version
(0), type (0 float32, 1 int32, 2 and 3 int8), bytes of data, bytes with padding, and a name of at most 43 characters.
It may hold other networks of Opus too. Of a layer X with n inputs and m outputs there are

===================  ===================================================================================================
X_weights_float      ``[n, m]``; of a convolution n counts the inputs of the oldest tap first
X_weights_int8       the same as ``[m / 8, n / 4, 8, 4]`` (outputs 8 j + b, inputs 4 i + d at ``[j, i, b, d]``)
X_scale              ``[m]``, 1 / 127 of the weight that the int8 value 1 stands for
X_bias               ``[m]``, zero in layers that have none
===================  ===================================================================================================

GRU rows come as z, r, n (Opus, ``dnn/write_lpcnet_weights.c`` and ``dnn/torch/weight-exchange``).
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from aether_lite.reading import reading

if TYPE_CHECKING:
    from torch import Tensor

MAGIC = b"DNNw"
WHAT = "a binary weights file of Opus (DNNw) with FARGAN"
BLOCK = 64  # bytes
_HEADER = struct.Struct("<4sIIII44s")
_TYPES = {0: "<f4", 1: "<i4", 2: "i1", 3: "i1"}
_INT8_STEP = 127  # a stored scale is for activations of +-127


def is_blob(path: Path) -> bool:
    """Whether a file begins like one; False where it cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(len(MAGIC)) == MAGIC
    except OSError:
        return False


def read_fargan(path: Path, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Tensor]:
    """Weights of these names and shapes, those of ``FARGAN().state_dict()``, in float32.

    Raises:
        AetherError: not such a file, one that is cut, or one without FARGAN of this form.
    """
    import torch

    with reading(path, WHAT):
        arrays = _arrays(path.read_bytes())
        weights: dict[str, Tensor] = {}
        for name, shape in shapes.items():
            stem, _, part = name.rpartition(".")
            if part != "weight_g":
                weights[name] = torch.from_numpy(_tensor(arrays, stem.replace(".", "_"), part, shape))
            if part == "weight_v":
                weights[f"{stem}.weight_g"] = torch.linalg.vector_norm(weights[name], dim=1, keepdim=True)
        return {name: weights[name] for name in shapes}


def precision(path: Path) -> str:
    """What FARGAN's layers of such a file are stored in, as :func:`read_fargan` takes them; AetherError as there."""
    with reading(path, WHAT):
        names = {name for name in _arrays(path.read_bytes()) if name.startswith(("cond_net_", "sig_net_"))}
        whole = {name.removesuffix("_weights_float") for name in names if name.endswith("_weights_float")}
        rounded = {name.removesuffix("_weights_int8") for name in names if name.endswith("_weights_int8")} - whole
    parts = [f"{len(layers)} layers in {kind}" for layers, kind in ((whole, "float32"), (rounded, "int8")) if layers]
    return ", ".join(parts)


def _arrays(data: bytes) -> dict[str, NDArray[Any]]:
    """All records by name."""
    arrays, place = {}, 0
    while place < len(data):
        if len(data) - place < BLOCK:
            raise ValueError(f"cut within the header at byte {place}")
        magic, version, kind, size, padded, name = _HEADER.unpack_from(data, place)
        if magic != MAGIC or version != 0 or kind not in _TYPES:
            raise ValueError(f"no record of version 0 at byte {place}")
        text = name.split(b"\0")[0].decode("ascii")
        place += BLOCK
        if size > padded or padded % BLOCK or size % np.dtype(_TYPES[kind]).itemsize:
            raise ValueError(f"{text}: {size} bytes in {padded} are no whole values and blocks of {BLOCK}")
        if place + padded > len(data):
            raise ValueError(f"cut within {text}")
        arrays[text] = np.frombuffer(data, _TYPES[kind], size // np.dtype(_TYPES[kind]).itemsize, place)
        place += padded
    return arrays


def _tensor(arrays: Mapping[str, NDArray[Any]], layer: str, part: str, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """One entry of the state: ``part`` of a layer, in torch's order."""
    if part == "bias":
        return _values(arrays, f"{layer}_bias", shape).astype(np.float32)
    gates = {"weight_ih": "_input", "weight_hh": "_recurrent"}.get(part, "")
    outputs, inputs = (shape[1], shape[0]) if layer.endswith("pembed") else (shape[0], int(np.prod(shape[1:])))
    matrix = _matrix(arrays, layer + gates, inputs, outputs)
    if layer.endswith("pembed"):  # its inputs are the classes
        return np.ascontiguousarray(matrix)
    if gates:  # z, r, n to r, z, n
        update, reset, new = np.split(matrix, 3, axis=1)
        matrix = np.concatenate((reset, update, new), axis=1)
    if len(shape) == 3:  # taps, inputs, outputs
        return np.ascontiguousarray(matrix.reshape(shape[2], shape[1], shape[0]).transpose(2, 1, 0))
    return np.ascontiguousarray(matrix.T)


def _matrix(arrays: Mapping[str, NDArray[Any]], layer: str, inputs: int, outputs: int) -> NDArray[np.float32]:
    """``[inputs, outputs]``; from int8 where there are no float weights."""
    bias = arrays.get(f"{layer}_bias")
    if bias is not None and not layer.endswith(("cond_gain_dense", "gain_dense_out")) and np.any(bias):
        raise ValueError(f"{layer} has a bias, which FARGAN has not")
    if f"{layer}_weights_float" in arrays or f"{layer}_weights_int8" not in arrays:
        return _values(arrays, f"{layer}_weights_float", (inputs, outputs)).astype(np.float32)
    blocks = _values(arrays, f"{layer}_weights_int8", (outputs // 8, inputs // 4, 8, 4))
    scale = _values(arrays, f"{layer}_scale", (outputs,)) * _INT8_STEP
    matrix: NDArray[np.float32] = blocks.transpose(1, 3, 0, 2).reshape(inputs, outputs) * scale.astype(np.float32)
    return matrix


def _values(arrays: Mapping[str, NDArray[Any]], name: str, shape: tuple[int, ...]) -> NDArray[Any]:
    values = arrays.get(name)
    if values is None:
        raise ValueError(f"it has no {name}")
    if values.size != int(np.prod(shape)):
        raise ValueError(f"{name} has {values.size} values, not {' x '.join(map(str, shape))}")
    return values.reshape(shape)
