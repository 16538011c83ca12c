"""A recogniser of a few weights, and the CTranslate2 file that holds it."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import torch

from aether_lite.losses.asr import AsrLoss, MelPredictor
from aether_lite.losses.whisper import Sizes, WhisperEncoder

SIZES = Sizes(width=16, hidden=24, heads=2, blocks=2)


def tiny_encoder() -> WhisperEncoder:
    torch.manual_seed(0)
    encoder = WhisperEncoder(SIZES)
    encoder.positions.normal_(std=0.1)
    return encoder.eval().requires_grad_(False)


def tiny_asr_loss() -> AsrLoss:
    encoder = tiny_encoder()
    predictor = MelPredictor(width=12, blocks=1)
    torch.nn.init.normal_(predictor.blocks[0].down.weight, std=0.1)  # as if it had learned something
    return AsrLoss(predictor, encoder).eval().requires_grad_(False)


def variables(encoder: WhisperEncoder) -> dict[str, np.ndarray]:
    """Weights by CTranslate2's names."""
    found = {"encoder/num_heads": np.array(SIZES.heads, np.int16)}
    found["encoder/position_encodings/encodings"] = encoder.positions.numpy()
    layers = [("encoder/conv1", encoder.first), ("encoder/conv2", encoder.second), ("encoder/layer_norm", encoder.norm)]
    for index, block in enumerate(encoder.blocks):
        layers += [
            (f"encoder/layer_{index}/self_attention/layer_norm", block.attention_norm),
            (f"encoder/layer_{index}/self_attention/linear_0", block.query_key_value),
            (f"encoder/layer_{index}/self_attention/linear_1", block.out),
            (f"encoder/layer_{index}/ffn/layer_norm", block.norm),
            (f"encoder/layer_{index}/ffn/linear_0", block.up),
            (f"encoder/layer_{index}/ffn/linear_1", block.down),
        ]
    for name, layer in layers:
        weight, bias = ("gamma", "beta") if name.endswith("layer_norm") else ("weight", "bias")
        found[f"{name}/{weight}"] = layer.weight.numpy()
        found[f"{name}/{bias}"] = layer.bias.numpy()
    return found


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
