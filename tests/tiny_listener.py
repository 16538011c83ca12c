"""A recogniser of a few weights, and the CTranslate2 file that holds it."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import torch

from aether_lite.losses.asr import Ear, Listener, Reader, RecogniserEncoder
from aether_lite.losses.asr.ctranslate import Sizes

SIZES = Sizes(width=16, hidden=24, heads=2, blocks=2)
VOCABULARY = 1668  # 60 tokens and the special ones


def tiny_encoder() -> RecogniserEncoder:
    torch.manual_seed(0)
    encoder = RecogniserEncoder(SIZES)
    encoder.positions.normal_(std=0.1)
    return encoder.eval().requires_grad_(False)


def tiny_reader() -> Reader:
    torch.manual_seed(2)
    reader = Reader(SIZES, VOCABULARY, longest=64)
    reader.positions.normal_(std=3.0)  # so that it does not say the same token again and again
    return reader.eval().requires_grad_(False)


def tiny_listener(*, reads: bool = False) -> Listener:
    encoder, reader = tiny_encoder(), tiny_reader() if reads else None
    ear = Ear(width=12, blocks=1)
    torch.nn.init.normal_(ear.blocks[0].down.weight, std=0.1)  # as if it had learned something
    return Listener(ear, encoder, reader).eval().requires_grad_(False)


def variables(encoder: RecogniserEncoder, reader: Reader | None = None) -> dict[str, np.ndarray]:
    """Weights by CTranslate2's names: an encoder's and a decoder's."""
    reader = reader or tiny_reader()
    found = {f"{part}/num_heads": np.array(SIZES.heads, np.int16) for part in ("encoder", "decoder")}
    found["encoder/position_encodings/encodings"] = encoder.positions.numpy()
    found["decoder/position_encodings/encodings"] = reader.positions.numpy()
    found["decoder/embeddings/weight"] = reader.tokens.weight.numpy()
    layers = [("encoder/conv1", encoder.first), ("encoder/conv2", encoder.second), ("encoder/layer_norm", encoder.norm)]
    layers.append(("decoder/layer_norm", reader.norm))
    for index, block in enumerate(encoder.blocks):
        layers += [
            (f"encoder/layer_{index}/self_attention/layer_norm", block.attention_norm),
            (f"encoder/layer_{index}/self_attention/linear_0", block.query_key_value),
            (f"encoder/layer_{index}/self_attention/linear_1", block.out),
            (f"encoder/layer_{index}/ffn/layer_norm", block.norm),
            (f"encoder/layer_{index}/ffn/linear_0", block.up),
            (f"encoder/layer_{index}/ffn/linear_1", block.down),
        ]
    for index, block in enumerate(reader.blocks):
        layers += [
            (f"decoder/layer_{index}/self_attention/layer_norm", block.attention_norm),
            (f"decoder/layer_{index}/self_attention/linear_0", block.query_key_value),
            (f"decoder/layer_{index}/self_attention/linear_1", block.out),
            (f"decoder/layer_{index}/attention/layer_norm", block.states_norm),
            (f"decoder/layer_{index}/attention/linear_0", block.states_query),
            (f"decoder/layer_{index}/attention/linear_1", block.states_key_value),
            (f"decoder/layer_{index}/attention/linear_2", block.states_out),
            (f"decoder/layer_{index}/ffn/layer_norm", block.norm),
            (f"decoder/layer_{index}/ffn/linear_0", block.up),
            (f"decoder/layer_{index}/ffn/linear_1", block.down),
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
