"""Writes FARGAN in the layout of the binary weights file of Opus."""

from __future__ import annotations

import struct

import numpy as np
import torch

from aether_lite.vocoder import FARGAN


def record(name: str, values: np.ndarray) -> bytes:
    kind = {"f": 0, "i": 3}[values.dtype.kind]
    data = values.tobytes()
    padded = -(-len(data) // 64) * 64
    return struct.pack("<4s4i44s", b"DNNw", 0, kind, len(data), padded, name.encode()) + data.ljust(padded, b"\0")


def layer(name: str, matrix: np.ndarray, bias: np.ndarray | None, int8: bool) -> bytes:
    """Records of a layer with ``matrix [inputs, outputs]``, as the exporter of Opus orders them."""
    bias = np.zeros(matrix.shape[1], "<f4") if bias is None else bias
    if not int8:
        return record(f"{name}_weights_float", matrix.astype("<f4")) + record(f"{name}_bias", bias)
    scale = np.abs(matrix).max(axis=0) / 127
    rounded = np.round(matrix / scale).astype("i1")
    blocks = rounded.reshape(len(matrix) // 4, 4, matrix.shape[1] // 8, 8).transpose(2, 0, 3, 1)
    parts = {"weights_int8": blocks, "subias": bias - (rounded * scale).sum(0), "scale": scale / 127, "bias": bias}
    return b"".join(
        record(f"{name}_{part}", np.ascontiguousarray(value, "i1" if part == "weights_int8" else "<f4"))
        for part, value in parts.items()
    )


def blob(model: FARGAN, int8: bool) -> bytes:
    """The file of Opus with these weights; layers that Opus stores in int8 are in int8."""
    content = record("other_net_bias", np.ones(5, "<f4"))
    for name, module in model.named_modules():
        flat = name.replace(".", "_")
        if isinstance(module, torch.nn.GRUCell):
            for part, weight in (("input", module.weight_ih), ("recurrent", module.weight_hh)):
                reset, update, new = weight.detach().numpy().T.copy().reshape(weight.shape[1], 3, -1).transpose(1, 0, 2)
                content += layer(f"{flat}_{part}", np.concatenate((update, reset, new), axis=1), None, int8)
        elif isinstance(module, torch.nn.Embedding):
            content += layer(flat, module.weight.detach().numpy(), None, False)
        elif isinstance(module, torch.nn.Conv1d):
            taps = module.weight.detach().numpy().transpose(2, 1, 0)
            content += layer(flat, taps.reshape(-1, taps.shape[2]), None, False)
        elif isinstance(module, torch.nn.Linear):
            bias = None if module.bias is None else module.bias.detach().numpy()
            content += layer(flat, module.weight.detach().numpy().T, bias, int8 and name == "cond_net.fdense2")
        elif hasattr(module, "weight_v"):
            content += layer(flat, module.weight().detach().numpy().T, None, False)
    return content
