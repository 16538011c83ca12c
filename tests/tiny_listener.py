"""A recogniser of a few weights, and the CTranslate2 file that holds it."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import torch

from aether_lite.listener import Ear, Listener, RecogniserEncoder
from aether_lite.listener.recogniser import Sizes

SIZES = Sizes(width=16, hidden=24, heads=2, blocks=2)


def tiny_encoder() -> RecogniserEncoder:
    torch.manual_seed(0)
    encoder = RecogniserEncoder(SIZES)
    encoder.positions.normal_(std=0.1)
    return encoder.eval().requires_grad_(False)


def tiny_listener() -> Listener:
    encoder = tiny_encoder()
    ear = Ear(width=12, blocks=1)
    torch.nn.init.normal_(ear.blocks[0].down.weight, std=0.1)  # as if it had learned something
    return Listener(ear, encoder).eval().requires_grad_(False)


def variables(encoder: RecogniserEncoder) -> dict[str, np.ndarray]:
    """An encoder's weights by CTranslate2's names."""
    found = {"encoder/num_heads": np.array(encoder.sizes.heads, np.int16)}
    found["encoder/position_encodings/encodings"] = encoder.positions.numpy()
    layers = [("conv1", encoder.first), ("conv2", encoder.second), ("layer_norm", encoder.norm)]
    for index, block in enumerate(encoder.blocks):
        layers += [
            (f"layer_{index}/self_attention/layer_norm", block.attention_norm),
            (f"layer_{index}/self_attention/linear_0", block.query_key_value),
            (f"layer_{index}/self_attention/linear_1", block.out),
            (f"layer_{index}/ffn/layer_norm", block.norm),
            (f"layer_{index}/ffn/linear_0", block.up),
            (f"layer_{index}/ffn/linear_1", block.down),
        ]
    for name, layer in layers:
        weight, bias = ("gamma", "beta") if name.endswith("layer_norm") else ("weight", "bias")
        found[f"encoder/{name}/{weight}"] = layer.weight.numpy()
        found[f"encoder/{name}/{bias}"] = layer.bias.numpy()
    return {**found, "decoder/num_heads": np.array(2, np.int16)}


def write_model(folder: Path, arrays: dict[str, np.ndarray], name: str = "WhisperSpec", version: int = 6) -> Path:
    """``model.bin`` of a folder."""
    kinds = {"float32": 0, "int8": 1, "int16": 2, "int32": 3, "float16": 4}

    def text(words: str) -> bytes:
        return struct.pack("<H", len(words) + 1) + words.encode() + b"\0"

    parts = [struct.pack("<I", version), text(name), struct.pack("<II", 3, len(arrays))]
    for key, array in arrays.items():
        parts += [text(key), struct.pack(f"<B{array.ndim}I", array.ndim, *array.shape)]
        parts += [struct.pack("<BI", kinds[array.dtype.name], array.nbytes), array.tobytes()]
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "model.bin"
    path.write_bytes(b"".join(parts) + struct.pack("<I", 0))
    return path
